"""A network whose ranges are known, and what it becomes when its weights are rounded for codes of so many bits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.bits import Bits
from toolchain.quantize.code_set import CodeSet
from toolchain.quantize.crops import CropSet, HeldOut
from toolchain.quantize.describe import describe
from toolchain.quantize.drop import PsnrDrop
from toolchain.quantize.estimators import Range
from toolchain.quantize.loss import enough
from toolchain.quantize.mixed import (
    Biases,
    Finer,
    MixedNetwork,
    MixedSite,
    Weights,
    find_mixed_sites,
    fine_quantization,
    split_network,
)
from toolchain.quantize.plan import QuantizationPlan, make_plan
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import (
    BoundRecipe,
    BudgetRecipe,
    ImageRecipe,
    Recipe,
    RepresentativeRecipe,
    SparedRecipe,
    TradeRecipe,
)
from toolchain.quantize.reconstruct import reconstruct
from toolchain.quantize.representative import RepresentativeSet
from toolchain.quantize.settings import Settings
from toolchain.quantize.weight_bits import codes_of
from toolchain.quantize.weights import (
    OUTPUT,
    QuantizedWeight,
    make_room_for_bias,
    make_safe,
    outputs_first,
    round_weight,
    safe_scale,
    scale_by,
)
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.quantization import BITS, WIDE_BITS, Quantization
from toolchain.support.errors import CalibrationError
from toolchain.support.progress import Tell, untold
from toolchain.support.wording import name_some

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel

ALL_CODES: Mapping[str, CodeSet] = {}
Reround: TypeAlias = "Callable[[str, Array], QuantizedWeight]"
"""Of a convolution's output and its float weights, makes rounded ones."""
NOTHING: Finer = {}
"""No tensors of 16 bits but those that the user has named."""
_HEADROOM = 1.5
"""The range of a tensor of 16 bits, over what was seen of it."""


@dataclass(frozen=True)
class Rounded:
    """A network in integers.

    Attributes:
        model: canonical QDQ.
        finer: its tensors of 16 bits beside those that the user has named.
        weights, biases: by the output of the float network's convolutions.
    """

    model: onnx.ModelProto
    finer: Finer
    weights: Mapping[str, QuantizedWeight]
    biases: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class _Network:
    """A float network as it is quantized: with quantizations and measured ranges by group, and what some of its
    convolutions were split by.
    """

    sr: SRModel
    plan: QuantizationPlan
    quantizations: Mapping[str, Quantization]
    ranges: Mapping[str, Range]
    mixed: MixedNetwork | None = None

    def split(self, weights: Weights, biases: Biases) -> tuple[Weights, Biases]:
        return self.mixed.split(weights, biases) if self.mixed else (weights, biases)

    def joined(self, weights: Weights, biases: Biases) -> tuple[Weights, Biases]:
        return self.mixed.joined(weights, biases) if self.mixed else (weights, biases)

    def write(self, weights: Weights, biases: Biases) -> onnx.ModelProto:
        """Return the model for these weights, of its own convolutions."""
        return write_qdq(self.sr, self.plan, self.quantizations, weights, biases)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Everything that is decided before weights are rounded.

    Attributes:
        sr: the float network, its channels balanced.
        plan: of its quantization.
        bits: by group, where the user has decided, or finer codes cost no product.
        ranges: by group.
        crops: of the photographs.
        tamed: the representative set; None without one.
        settings: of the quantization.
        codes: the sets of codes of the convolutions' weights, by output, where they are not all of int8.
        fine: the groups of which the user wants some channels at 16 bits: ``sr`` has their convolutions in two.
    """

    sr: SRModel
    plan: QuantizationPlan
    bits: Mapping[str, int]
    ranges: Mapping[str, Range]
    crops: CropSet
    tamed: RepresentativeSet | None
    settings: Settings
    codes: Mapping[str, CodeSet] = field(default_factory=dict)
    fine: frozenset[str] = frozenset()

    def decided(self, bits: Mapping[str, Bits]) -> Calibrated:
        """Return the network with bits that the user has decided, by group.

        Raises:
            CalibrationError: a tensor cannot have 16 bits in some channels, or has fewer.
        """
        fine: dict[str, tuple[int, ...]] = {}
        known = dict(self.bits)
        for group, one in bits.items():
            known[group] = one if isinstance(one, int) else WIDE_BITS
            if not isinstance(one, int):
                site = self._site(group, one)
                if len(set(one)) < site.channels:
                    fine[site.tensor] = tuple(sorted(set(one)))
        found = replace(self, bits=known)
        if not fine:
            return found
        network, old = found._network(fine), self.plan.group
        plan, mixed = network.plan, network.mixed
        known = {plan.group[point]: known[old[point]] for point in self.plan.points if old[point] in known}
        coarse = {plan.group[part]: BITS for part in (mixed.whole if mixed else ())}
        groups = frozenset(plan.group[tensor] for tensor in fine)
        return replace(found, sr=network.sr, plan=plan, bits={**known, **coarse}, ranges=network.ranges, fine=groups)

    def _site(self, group: str, channels: Sequence[int]) -> MixedSite:
        site = next((one for name, one in self.sites.items() if self.plan.group[name] == group), None)
        if site is None:
            others = f"; of {name_some(list(self.sites))} some channels can" if self.sites else ""
            raise CalibrationError(
                f"'{group}' cannot have {WIDE_BITS} bits in some channels only",
                hint=f"say {group}={WIDE_BITS}{others}",
            )
        if max(channels) >= site.channels:
            raise CalibrationError(
                f"'{site.tensor}' has no channel {max(channels)}", hint=f"its channels are 0 to {site.channels - 1}"
            )
        return site

    @property
    def judges(self) -> Sequence[HeldOut]:
        """Crops that chose nothing, as many as are enough to judge by."""
        return enough(self.crops.held_out)

    @cached_property
    def drop(self) -> PsnrDrop:
        """What measures the PSNR that a network in integers loses, on crops that chose nothing."""
        return PsnrDrop(self.sr, self.judges)

    def rounded(self, finer: Finer = NOTHING, progress: Tell = untold) -> Rounded:
        """Return the network in integers, all weights rounded for the codes that they will meet: takes seconds.

        ``finer``: tensors of 16 bits besides those that the user has named. ``progress`` is told how far it is.

        Raises:
            ModelError: the sums of a convolution that reads a tensor of 16 bits could overflow.
        """
        network = self._network(finer)
        weights, biases = round_weights(
            network.sr, network.plan, network.quantizations, self.settings.weights, self.codes
        )
        keep_scales = self.settings.weights != OUTPUT
        return self._improved(network, finer, weights, biases, keep_scales=keep_scales, progress=progress)

    def rerounded(self, like: Rounded, again: Reround, progress: Tell = untold) -> Rounded:
        """Return the network with all weights rounded for other codes, at scales that are given.

        ``again``: of a convolution's output and its float weights in their own layout, makes those to begin with.
        ``like``: the network whose biases are begun with, and whose tensors have the same bits.
        """
        network = self._network(like.finer)
        constants = GraphView(network.sr.model).constants
        weights = {output: again(output, constants[site.weight]) for output, site in network.plan.convolutions.items()}
        return self._improved(network, like.finer, weights, like.biases, keep_scales=True, progress=progress)

    def with_room(self, found: Rounded, times: float) -> Rounded:
        """Return the network at scales at which biases ``times`` as large fit; as it is, but where these dwarf
        weights.
        """
        network, weights = self._network(found.finer), dict(found.weights)
        for output, site in network.plan.convolutions.items():
            source = network.quantizations[network.plan.group[site.source]].scale
            weights[output] = make_room_for_bias(weights[output], times * found.biases[output], source)
        return replace(found, model=network.write(weights, found.biases), weights=weights)

    def _improved(
        self, network: _Network, finer: Finer, weights: Weights, biases: Biases, *, keep_scales: bool, progress: Tell
    ) -> Rounded:
        settings = self.settings
        written = network.write(weights, biases)
        if not settings.reconstruct and not settings.correct_bias:
            return Rounded(written, finer, *network.joined(weights, biases))
        better = reconstruct(
            network.sr,
            network.plan,
            written,
            weights,
            biases,
            self.crops.crops,
            seed=settings.seed,
            only_biases=not settings.reconstruct,
            keep_scales=keep_scales,
            progress=progress,
        )
        written = network.write(better.weights, better.biases)
        return Rounded(written, finer, *network.joined(better.weights, better.biases))

    def rewritten(self, finer: Finer, like: Rounded) -> Rounded:
        """Return the network with these tensors at 16 bits and the weights of another one: takes no time."""
        network = self._network(finer)
        weights, biases = network.split(like.weights, like.biases)
        safe = {output: make_safe(weight) for output, weight in weights.items()}
        return Rounded(network.write(safe, biases), finer, *network.joined(safe, biases))

    def described(
        self,
        found: Rounded,
        budget: BudgetRecipe | None = None,
        bound: BoundRecipe | None = None,
        spared: SparedRecipe | None = None,
        traded: TradeRecipe | None = None,
    ) -> QuantizedModel:
        """Return the network with its recipe."""
        network, settings, crops, tamed = self._network(found.finer), self.settings, self.crops, self.tamed
        sr, (weights, biases) = network.sr, network.split(found.weights, found.biases)
        recipe = Recipe(
            model=sr.name,
            settings={
                **asdict(settings),
                "overrides": dict(sorted(settings.overrides.items())),
                "bits": dict(sorted(settings.bits.items())),
                "weight_bits": dict(sorted(settings.weight_bits.items())),
            },
            tensors=describe(
                network.plan, network.quantizations, network.ranges, weights, biases, source=_source(settings)
            ),
            images=tuple(ImageRecipe(s.index, s.width, s.height, s.sha256) for s in crops.sources),
            representative=_proof(tamed) if tamed else None,
            budget=budget,
            bound=bound,
            spared=spared,
            traded=traded,
            changes=tuple(sr.changes),
            warnings=crops.warnings + (_unproved(tamed) if tamed else ()) + _constant(self.ranges),
        )
        return QuantizedModel(found.model, recipe, sr.name, sr.channels, sr.scale, sr.value_range, sr.clip, sr.halo, sr)

    @cached_property
    def sites(self) -> Mapping[str, MixedSite]:
        """The tensors some of whose channels may have 16 bits, by name."""
        return find_mixed_sites(self.sr, self.plan)

    def _network(self, finer: Finer) -> _Network:
        """Return the network as it is with these tensors at 16 bits."""
        quantizations = self._quantizations([name for name, channels in finer.items() if channels is None])
        fine = {name: channels for name, channels in finer.items() if channels is not None}
        if not fine:
            return _Network(self.sr, self.plan, quantizations, self.ranges)
        mixed = split_network(self.sr, self.plan, fine)
        plan, old = make_plan(mixed.sr), self.plan.group
        groups = {plan.group[point]: old[point] for point in self.plan.points}
        found = {group: quantizations[name] for group, name in groups.items()}
        ranges = {group: self.ranges[name] for group, name in groups.items() if name in self.ranges}
        for part, tensor in mixed.whole.items():
            coarse, whole = plan.group[part], plan.group[tensor]
            found[coarse], ranges[coarse] = found[whole], ranges[whole]
            found[whole] = fine_quantization(found[whole])
        return _Network(mixed.sr, plan, found, ranges, mixed)

    def _quantizations(self, wide: Collection[str]) -> dict[str, Quantization]:
        bits = {**self.bits, **{self.plan.group[name]: WIDE_BITS for name in wide}}
        white = self.sr.value_range
        found = {group: _quantization(known, white, bits.get(group, BITS)) for group, known in self.ranges.items()}
        fine = {group: fine_quantization(_quantization(self.ranges[group], white, BITS)) for group in self.fine}
        return {**found, **fine, **dict.fromkeys(self.plan.pinned, pixel_quantization(white))}


def _quantization(found: Range, value_range: tuple[float, float], bits: int) -> Quantization:
    low, high = found.low, found.high
    if bits != BITS:
        # No value need saturate where codes are plenty.
        low, high = min(low, _HEADROOM * found.seen_low), max(high, _HEADROOM * found.seen_high)
    return Quantization.of_range(low, high, fallback=value_range[1] - value_range[0], bits=bits)


def round_weights(
    sr: SRModel,
    plan: QuantizationPlan,
    quantizations: Mapping[str, Quantization],
    estimator: str,
    codes: Mapping[str, CodeSet] = ALL_CODES,
) -> tuple[dict[str, QuantizedWeight], dict[str, NDArray[np.float32]]]:
    """Return every convolution's weights, each rounded for itself, and its float biases, by the convolution's output.

    Args:
        sr: the float network.
        plan: of its quantization.
        quantizations: of the activations, by group.
        estimator: of the weights' ranges, see ``weights.scale_by``.
        codes: the sets of their codes, by output, where they are not all of int8; codebooks are fitted here.
    """
    constants = GraphView(sr.model).constants
    weights, biases = {}, {}
    for output, site in plan.convolutions.items():
        weight = constants[site.weight]
        # A transposed convolution's output channels repeat along its axis 1 for every group; they share a scale.
        rows = outputs_first(weight.astype(np.float64), site.axis)
        among = codes_of(output, codes).fitted(rows)
        scale = scale_by(estimator)(rows, among)
        outputs = len(constants[site.bias]) if site.bias else len(scale)
        bias = constants[site.bias].astype(np.float32) if site.bias else np.zeros(outputs, np.float32)
        source = quantizations[plan.group[site.source]].scale
        folded = np.abs(bias).reshape(-1, len(scale)).max(axis=0)
        weights[output] = round_weight(weight, safe_scale(scale, folded, source), site.axis, estimator, among)
        biases[output] = bias
    return weights, biases


def _source(settings: Settings) -> str:
    parts = [("natural", True), ("augmented", settings.augment), ("tamed", settings.tame)]
    return "+".join(name for name, used in parts if used)


def _proof(tamed: RepresentativeSet) -> RepresentativeRecipe:
    natural = [image.before for image in tamed.images if image.kind in ("natural", "contracted")]
    natural = natural or [image.before for image in tamed.rejected] or [(0.0, 0.0)]
    contracted = [image.factor for image in tamed.images if image.kind == "contracted"]
    return RepresentativeRecipe(
        images=len(tamed.images),
        contracted=len(contracted),
        rejected=len(tamed.rejected),
        smallest_factor=min(contracted, default=1.0),
        before=(min(low for low, _ in natural), max(high for _, high in natural)),
        after=(tamed.coverage.low, tamed.coverage.high),
        proved=tamed.coverage.proved,
    )


def _constant(ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """Tensors without a range of their own: whatever they hold on other pictures is quantized by guess."""
    return tuple(
        f"'{group}' was zero on every calibration image: nothing tells its range"
        for group, found in ranges.items()
        if found.low == found.high
    )


def _unproved(tamed: RepresentativeSet) -> tuple[str, ...]:
    if tamed.coverage.proved:
        return ()
    missing = [
        end for end, there in (("0", tamed.coverage.touches_low), ("255", tamed.coverage.touches_high)) if not there
    ]
    return (
        f"no representative image makes the output touch pixel value {' or '.join(missing)}; "
        "its range is pinned all the same",
    )
