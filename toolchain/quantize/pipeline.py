"""From a float network and photographs to a quantized model: the order of the steps, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.model import UNBOUNDED_HALO
from toolchain.quantize.calibrate import measure_ranges
from toolchain.quantize.crops import CropSet, cut_crops, stress
from toolchain.quantize.describe import describe
from toolchain.quantize.equalize import equalize, find_sites, measure_channels, share_ranges, widening
from toolchain.quantize.estimators import Range
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.loss import Comparison, enough
from toolchain.quantize.overrides import choose_bits
from toolchain.quantize.plan import QuantizationPlan, make_plan
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import (
    BoundRecipe,
    BudgetRecipe,
    ImageRecipe,
    Recipe,
    RepresentativeRecipe,
    WideRecipe,
)
from toolchain.quantize.reconstruct import reconstruct
from toolchain.quantize.representative import RepresentativeSet, represent
from toolchain.quantize.settings import DEFAULTS, Settings
from toolchain.quantize.spending import Spending
from toolchain.quantize.weights import (
    OUTPUT,
    QuantizedWeight,
    outputs_first,
    round_weight,
    safe_scale,
    scale_by,
)
from toolchain.reference.graph import GraphView
from toolchain.reference.quantization import BITS, WIDE_BITS, Quantization
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import CalibrationError

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel

_HEADROOM = 1.5
"""The range of a tensor of 16 bits, over what was seen of it."""


def quantize(sr: SRModel, images: Sequence[NDArray[np.uint8]], settings: Settings | None = None) -> QuantizedModel:
    """Quantize a normalized float network to 8 bits, some of its tensors to 16 where ``settings`` say so.

    Args:
        sr: the network, its final clip already taken off.
        images: calibration photos, u8 (h, w, channels), taken as low-resolution pictures as they are.
        settings: see ``Settings``; equal inputs give equal bytes.

    Raises:
        CalibrationError: the photos cannot be used, the network gives NaN or infinity on them, or ``settings`` name
            tensors that it does not have.
        ModelError: the sums of a convolution that reads a tensor of 16 bits could overflow.
    """
    settings = settings or DEFAULTS
    crops = calibration_crops(sr, images, settings)
    tamed = _tamed(sr, crops, settings)
    varied = crops.crops + (stress(crops.crops, settings.seed) if settings.augment else ())
    changed = [image.pixels for image in tamed.images if image.kind != "natural"] if tamed else []
    plan = make_plan(sr)
    if settings.equalize:
        groups = share_ranges(sr, plan, find_sites(sr))
        channels = measure_channels(sr, groups, varied, settings.activations)
        sr = equalize(sr, groups, channels, widening(len(crops.sources)))
    bits = choose_bits(plan, settings.bits, constants=GraphView(sr.model).constants)
    ranges = measure_ranges(sr, plan, [*varied, *changed], settings.overrides, settings.activations)

    def described(
        found: _Rounded, budget: BudgetRecipe | None = None, bound: BoundRecipe | None = None
    ) -> QuantizedModel:
        recipe = Recipe(
            model=sr.name,
            settings={
                **asdict(settings),
                "overrides": dict(sorted(settings.overrides.items())),
                "bits": dict(sorted(settings.bits.items())),
            },
            tensors=describe(plan, found.quantizations, ranges, found.weights, found.biases, source=_source(settings)),
            images=tuple(ImageRecipe(s.index, s.width, s.height, s.sha256) for s in crops.sources),
            representative=_proof(tamed) if tamed else None,
            budget=budget,
            bound=bound,
            changes=tuple(sr.changes),
            warnings=crops.warnings + (_unproved(tamed) if tamed else ()) + _constant(ranges),
        )
        return QuantizedModel(found.model, recipe, sr.name, sr.channels, sr.scale, sr.value_range, sr.clip, sr.halo, sr)

    found = _round(sr, plan, ranges, bits, crops.crops, settings)
    if not settings.budget and settings.max_loss is None:
        return described(found)
    judges = enough(crops.held_out)

    @cache
    def comparison() -> Comparison:
        return Comparison(sr, [crop.pixels for crop in judges])

    def error(one: _Rounded) -> float:
        return comparison().mean(comparison().errors(one.model))

    def widened(chosen: Sequence[WideRecipe]) -> _Rounded:
        """With the chosen tensors at 16 bits."""
        if not chosen:
            return found
        wide = {**bits, **{plan.group[item.name]: WIDE_BITS for item in chosen}}
        # Rounded anew, weights suit what they read, but may suit the crops too well; as they were, they gain what was
        # expected.
        again = _round(sr, plan, ranges, wide, crops.crops, settings)
        return min(again, _write(sr, plan, again.quantizations, found.weights, found.biases), key=error)

    spending = Spending(described, plan, frozenset(bits), crops.crops, judges, error, widened)
    if settings.max_loss is None:
        return spending.within_budget(found, settings.budget or 0.0)
    return spending.within_loss(found, settings.max_loss, settings.budget)


def calibration_crops(sr: SRModel, images: Sequence[NDArray[np.uint8]], settings: Settings) -> CropSet:
    """Return the crops of calibration photos that ``quantize`` chooses by, and those that are held out.

    Raises:
        CalibrationError: the photos cannot be used.
    """
    return cut_crops(
        images,
        channels=sr.channels,
        halo=sr.halo if sr.halo < UNBOUNDED_HALO else 0,
        size=settings.crop,
        per_image=settings.crops_per_image,
        shrink=sr.scale,
        seed=settings.seed,
    )


def _tamed(sr: SRModel, crops: CropSet, settings: Settings) -> RepresentativeSet | None:
    model = FloatModel(sr.model)
    first = model.run(to_float(crops.crops[0], sr.value_range))
    if not np.isfinite(first).all():
        raise CalibrationError("the network's output is NaN or infinite on a calibration image")
    if not settings.tame:
        return None
    return represent(
        lambda pixels: model.run(to_float(pixels, sr.value_range)),
        crops.crops,
        sr.value_range,
        halo=sr.halo if sr.halo < UNBOUNDED_HALO else None,
        at_once=usable_cores(),
    )


def _source(settings: Settings) -> str:
    parts = [("natural", True), ("augmented", settings.augment), ("tamed", settings.tame)]
    return "+".join(name for name, used in parts if used)


@dataclass(frozen=True)
class _Rounded:
    """A network in integers: canonical QDQ, quantizations by group, weights and biases by convolution output."""

    model: onnx.ModelProto
    quantizations: Mapping[str, Quantization]
    weights: Mapping[str, QuantizedWeight]
    biases: Mapping[str, NDArray[np.float32]]


def _round(
    sr: SRModel,
    plan: QuantizationPlan,
    ranges: Mapping[str, Range],
    bits: Mapping[str, int],
    crops: Sequence[NDArray[np.uint8]],
    settings: Settings,
) -> _Rounded:
    quantizations = {
        group: _quantization(found, sr.value_range, bits.get(group, BITS)) for group, found in ranges.items()
    }
    quantizations.update(dict.fromkeys(plan.pinned, pixel_quantization(sr.value_range)))
    weights, biases = round_weights(sr, plan, quantizations, settings.weights)
    written = _write(sr, plan, quantizations, weights, biases)
    if settings.reconstruct or settings.correct_bias:
        better = reconstruct(
            sr,
            plan,
            written.model,
            weights,
            biases,
            crops,
            seed=settings.seed,
            only_biases=not settings.reconstruct,
            keep_scales=settings.weights != OUTPUT,
        )
        return _write(sr, plan, quantizations, better.weights, better.biases)
    return written


def _write(
    sr: SRModel,
    plan: QuantizationPlan,
    quantizations: Mapping[str, Quantization],
    weights: Mapping[str, QuantizedWeight],
    biases: Mapping[str, NDArray[np.float32]],
) -> _Rounded:
    return _Rounded(write_qdq(sr, plan, quantizations, weights, biases), quantizations, weights, biases)


def _quantization(found: Range, value_range: tuple[float, float], bits: int) -> Quantization:
    low, high = found.low, found.high
    if bits != BITS:
        # No value need saturate where codes are plenty.
        low, high = min(low, _HEADROOM * found.seen_low), max(high, _HEADROOM * found.seen_high)
    return Quantization.of_range(low, high, fallback=value_range[1] - value_range[0], bits=bits)


def round_weights(
    sr: SRModel, plan: QuantizationPlan, quantizations: Mapping[str, Quantization], estimator: str
) -> tuple[dict[str, QuantizedWeight], dict[str, NDArray[np.float32]]]:
    """Return every convolution's weights, each rounded for itself, and its float biases, by the convolution's output.

    Args:
        sr: the float network.
        plan: of its quantization.
        quantizations: of the activations, by group.
        estimator: of the weights' ranges, see ``weights.scale_by``.
    """
    constants = GraphView(sr.model).constants
    weights, biases = {}, {}
    for output, site in plan.convolutions.items():
        weight = constants[site.weight]
        # A transposed convolution's output channels repeat along its axis 1 for every group; they share a scale.
        scale = scale_by(estimator)(outputs_first(weight.astype(np.float64), site.axis))
        outputs = len(constants[site.bias]) if site.bias else len(scale)
        bias = constants[site.bias].astype(np.float32) if site.bias else np.zeros(outputs, np.float32)
        source = quantizations[plan.group[site.source]].scale
        folded = np.abs(bias).reshape(-1, len(scale)).max(axis=0)
        weights[output] = round_weight(weight, safe_scale(scale, folded, source), site.axis, estimator)
        biases[output] = bias
    return weights, biases


def _proof(tamed: RepresentativeSet) -> RepresentativeRecipe:
    natural = [image.before for image in tamed.images if image.kind in ("natural", "contracted")] or [(0.0, 0.0)]
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
