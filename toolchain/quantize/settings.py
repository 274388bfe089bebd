"""What a user can choose about quantization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from toolchain.quantize.bits import Bits, check_bits
from toolchain.quantize.budgets import CostBound, check_budgets
from toolchain.quantize.estimators import make_estimator
from toolchain.quantize.weight_bits import check_bits_nested, check_weight_bits
from toolchain.quantize.weights import OUTPUT, scale_by
from toolchain.support.errors import CalibrationError


@dataclass(frozen=True)
class Settings:
    """Settings of ``quantize``; equal settings, photos and model give equal bytes.

    Attributes:
        activations: range estimator of the inner tensors, see ``estimators.ESTIMATORS``; "percentile:99.9" gives one
            an argument.
        weights: what decides the range of each output channel's weights: "output", least error of what the layer gives
            on the calibration images; or "mse", "minmax", "percentile:P" of the weights, see ``weights.scale_by``.
        overrides: estimators by tensor name or pattern, where they differ from ``activations``.
        bits: 8 or 16 by tensor name or pattern, for inner tensors, or the channels that have 16 while the others have 8
            (see ``mixed.find_mixed_sites``); where nothing is said 8, and 16 for what only float operators read.
        weight_bits: 2 to 8 by name or pattern of a convolution's output or weight, "*" for all; 8 where nothing is
            said.
        codebook: codes of at most 6 of these bits are places in a codebook of int8 numbers for each convolution.
        bits_nested: of weights, falling: a network for each of them, the weights of which begin with those of the next;
            empty: one network. Then nothing else is said of weights' bits, nor chosen for 16.
        outliers: others of at most 6 bits may leave some weights of each output all of int8, where that pays (see
            ``outliers``).
        spare_weights: all other weights get the fewest bits of 8, 6, 5 and 4 that keep to ``max_loss``, to 0.05 dB
            where that is not given.
        budget: multiply-accumulates, in percent of the network's, that may be added for further tensors of 16 bits,
            chosen by what they gain; None or 0: none.
        costs: bounds of bit operations and of the weights' bytes, under which bits of weights and of activations are
            chosen together: what loses least, within ``budget`` where that is given, or with ``max_loss`` what costs
            least.
        max_loss: PSNR in dB that may be lost against the float network: as few further tensors of 16 bits as keep to
            it, within ``budget`` where that is given; None: no bound.
        demanded: whether somebody asked for ``max_loss``; it is otherwise what is aimed at, see ``for_deployment``.
        crop: longest side of a calibration crop in pixels.
        crops_per_image: crops of each photo; every second one from the photo shrunk by the network's scale.
        seed: where crops are cut.
        equalize: balance the channels of inner tensors against each other (exact in float).
        reconstruct: round weights so that their errors cancel on the calibration images, not each for itself.
        correct_bias: cancel the mean error that rounded weights leave in each channel.
        tame: add the tamed representative images (CFQP) to the natural ones.
        augment: add crops with exchanged colours and stretched contrast, so that a few photos do for other pictures.
    """

    activations: str = "percentile"
    weights: str = OUTPUT
    overrides: Mapping[str, str] = field(default_factory=dict)
    bits: Mapping[str, Bits] = field(default_factory=dict)
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    codebook: bool = False
    bits_nested: tuple[int, ...] = ()
    outliers: bool = True
    spare_weights: bool = False
    budget: float | None = None
    costs: tuple[CostBound, ...] = ()
    max_loss: float | None = None
    demanded: bool = True
    crop: int = 128
    crops_per_image: int = 4
    seed: int = 0
    equalize: bool = True
    reconstruct: bool = True
    correct_bias: bool = True
    tame: bool = True
    augment: bool = True

    def __post_init__(self) -> None:
        """Raise CalibrationError where a name or number cannot be used."""
        for name in (self.activations, *self.overrides.values()):
            make_estimator(name)
        scale_by(self.weights)
        for name, bits in self.bits.items():
            check_bits(name, bits)
        check_weight_bits(self.weight_bits, codebook=self.codebook, spare=self.spare_weights or bool(self.costs))
        check_budgets(self.costs, bounded_loss=self.max_loss is not None, spare=self.spare_weights)
        if self.bits_nested:
            others = bool(self.weight_bits) or self.codebook or self.spare_weights
            spends = bool(self.budget) or self.max_loss is not None or bool(self.costs)
            check_bits_nested(self.bits_nested, others=others, spends=spends)
        if self.budget is not None and not 0 <= self.budget < math.inf:
            raise CalibrationError(
                f"a budget of {self.budget:g} % is none", hint="say by how many percent work may grow, such as 10"
            )
        if self.max_loss is not None and not 0 < self.max_loss < math.inf:
            raise CalibrationError(
                f"a loss of {self.max_loss:g} dB is no bound", hint="say how many dB may be lost, such as 0.03"
            )
        if self.crop < 1 or self.crops_per_image < 1 or self.seed < 0:
            raise CalibrationError("crop and crops_per_image must be at least 1, seed at least 0")


DEFAULTS = Settings()
"""What is taken where the user asks for nothing else."""

MUCH, _LITTLE = 0.05, 8.0
"""PSNR in dB that 8 bits may lose, and percent of work that is spent, without anybody asking for it."""


def for_deployment(settings: Settings | None) -> Settings:
    """Return what a network is deployed by: where nothing is said of work, loss and weights' bits, little of the first
    may be spent where much of the second is found.
    """
    settings = settings or DEFAULTS
    decided = bool(settings.weight_bits or settings.bits_nested or settings.costs) and not settings.spare_weights
    if settings.budget is None and settings.max_loss is None and not decided:
        return replace(settings, budget=_LITTLE, max_loss=MUCH, demanded=False)
    return settings
