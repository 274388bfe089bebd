"""Rounds weights so that their errors cancel on real pictures, layer after layer, and corrects biases the same way.

For each convolution in turn: the inputs are what the integer network before it really gives, rounding and saturation
included; the target is what the float network's convolution gives. Least squares finds the weights that come nearest,
and they are rounded together, see ``rounding``. The bias takes up the mean. No labels are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.quantize.crops import spread
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.outliers import round_with_outliers
from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.qdq import float_end
from toolchain.quantize.rounding import round_groups
from toolchain.quantize.weights import QuantizedWeight, make_room_for_bias, round_bias
from toolchain.reference.compiled import compiled
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.interpreter import last_use, run_step
from toolchain.reference.program import FloatStep, parse
from toolchain.reference.quantization import CodeArray
from toolchain.reference.steps import ConvStep
from toolchain.support.parallel import in_order
from toolchain.support.progress import Tell, untold

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

_SAMPLES = 1 << 14  # output pixels looked at in all: some hundred for every unknown
_PICTURES = 28
_RIDGE = 0.05  # of the mean input power: what is measured moves weights, but not far from the float ones


@dataclass(frozen=True)
class Reconstruction:
    """Better weights and biases, by the name of the convolution's output."""

    weights: dict[str, QuantizedWeight]
    biases: dict[str, NDArray[np.float32]]


def reconstruct(
    sr: SRModel,
    plan: QuantizationPlan,
    written: onnx.ModelProto,
    weights: Mapping[str, QuantizedWeight],
    biases: Mapping[str, NDArray[np.float32]],
    crops: Sequence[NDArray[np.uint8]],
    *,
    seed: int,
    only_biases: bool = False,
    keep_scales: bool = False,
    progress: Tell = untold,
) -> Reconstruction:
    """Improve every convolution of a network that has been written once.

    Args:
        sr: the float network that ``written`` quantizes.
        plan: what is quantized.
        written: canonical QDQ with ``weights`` and ``biases``.
        weights: by convolution output; transposed convolutions keep theirs, and only their biases improve.
        biases: float, by convolution output.
        crops: natural pictures, u8 (h, w, C).
        seed: which pixels are looked at.
        only_biases: leave all weights as they are.
        progress: is told how far it is.
        keep_scales: round to multiples of the scales that ``weights`` have, not of those that turn out best.
    """
    crops = spread(crops, _PICTURES)
    program = parse(written)
    view = GraphView(sr.model)
    constants = view.constants
    renamed = {float_end(view): view.output}
    places = _Places(crops, seed)
    targets = _targets(sr, plan, crops, places)
    better, corrected = dict(weights), dict(biases)
    values: list[dict[str, CodeArray]] = [{} for _ in crops]
    dead = last_use(program.steps)
    for index, original in enumerate(program.steps):
        progress("", index / len(program.steps))
        step = original
        if isinstance(step, ConvStep):
            site = plan.convolutions[renamed.get(step.accumulator, step.accumulator)]
            codes = [found[step.source.tensor] for found in values]
            target = targets.pop(site.output)
            if only_biases or step.convolution.transposed:
                bias = biases[site.output] + _mean_error(step, codes, target, places).astype(np.float32)
                weight = weights[site.output]
            else:
                columns, given = places.columns(codes, step), weights[site.output]
                weight, bias = _solve(
                    columns, target, constants[site.weight], step.convolution.group, given, keep_scale=keep_scales
                )
            weight = make_room_for_bias(weight, bias, step.source.quantization.scale)
            better[site.output], corrected[site.output] = weight, bias
            step = _changed(step, weight, bias)
            step = replace(step, convolution=compiled(step.convolution))
        at_once = 1 if isinstance(step, FloatStep) else None
        made = in_order(lambda picture, step=step: run_step(step, *picture), zip(values, crops, strict=True), at_once)  # type: ignore[misc]
        for found, codes_out in zip(values, made, strict=True):
            found[step.out.tensor] = codes_out
            for name in dead.get(index, ()):
                found.pop(name, None)
    return Reconstruction(better, corrected)


def _changed(step: ConvStep, weight: QuantizedWeight, bias: NDArray[np.float32]) -> ConvStep:
    scale = np.tile(weight.scale, len(bias) // len(weight.scale))
    steps = round_bias(bias, step.source.quantization.scale, scale)
    return replace(step, convolution=replace(step.convolution, weight=weight.codes, bias=steps), weight_scale=scale)


class _Places:
    """Which output pixels are looked at: the same ones, relative to the picture's size, in every layer."""

    def __init__(self, crops: Sequence[NDArray[np.uint8]], seed: int) -> None:
        most = -(-_SAMPLES // len(crops))
        counts = [min(most, crop.shape[0] * crop.shape[1]) for crop in crops]
        self.points = [np.random.default_rng([seed, index, 1]).random((2, n)) for index, n in enumerate(counts)]

    def rows_columns(self, picture: int, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        y, x = self.points[picture]
        return (y * height).astype(np.intp), (x * width).astype(np.intp)

    def gather(self, picture: int, values: Array) -> Array:
        """Return the chosen pixels of (C, h, w) as (C, n)."""
        rows, columns = self.rows_columns(picture, *values.shape[1:])
        return values[:, rows, columns]

    def columns(self, codes: Sequence[CodeArray], step: ConvStep) -> NDArray[np.float32]:
        """Return what the weights of one output pixel meet, as real numbers: (C * kh * kw, pixels of all pictures)."""
        convolution, source = step.convolution, step.source.quantization
        kh, kw = convolution.weight.shape[2:]
        top, left, bottom, right = convolution.pads

        def taken(picture: int) -> NDArray[np.float32]:
            code = codes[picture]
            padded = np.pad(code, ((0, 0), (top, bottom), (left, right)), constant_values=source.zero_point)
            rows, columns = self.rows_columns(picture, *convolution.output_size(*code.shape[1:]))
            y = (rows * convolution.strides[0])[None, :] + (np.arange(kh) * convolution.dilations[0])[:, None]
            x = (columns * convolution.strides[1])[None, :] + (np.arange(kw) * convolution.dilations[1])[:, None]
            pixels = padded[:, y[:, None, :], x[None, :, :]]
            return source.dequantize(pixels.reshape(-1, pixels.shape[-1]))

        return np.concatenate(list(in_order(taken, range(len(codes)))), axis=1)


def _targets(
    sr: SRModel, plan: QuantizationPlan, crops: Sequence[NDArray[np.uint8]], places: _Places
) -> dict[str, NDArray[np.float32]]:
    """Return what the float convolutions give at the chosen pixels, (O, n), by their output."""
    names = tuple(plan.convolutions)
    model = FloatModel(sr.model, names)
    parts: dict[str, list[Array]] = {name: [] for name in names}
    for picture, found in enumerate(model.stream(to_float(crop, sr.value_range) for crop in crops)):
        for name in names:
            parts[name].append(places.gather(picture, found[name][0]))
    return {name: np.concatenate(many, axis=1) for name, many in parts.items()}


def _mean_error(
    step: ConvStep, codes: Sequence[CodeArray], target: NDArray[np.float32], places: _Places
) -> NDArray[np.float64]:
    """By how much the integer convolution falls short of the target on average, (O,)."""
    convolution, source = step.convolution, step.source.quantization
    factor = np.float64(source.scale) * step.weight_scale.astype(np.float64)
    parts = []
    for picture, code in enumerate(codes):
        sums = np.concatenate([part for _, part in convolution.bands(code, source.zero_point)], axis=1)
        parts.append(places.gather(picture, sums))
    found = np.concatenate(parts, axis=1).mean(axis=1) * factor
    shortfall: NDArray[np.float64] = target.mean(axis=1, dtype=np.float64) - found
    return shortfall


def _solve(
    columns: NDArray[np.float32],
    target: NDArray[np.float32],
    weight: Array,
    group: int,
    given: QuantizedWeight,
    *,
    keep_scale: bool,
) -> tuple[QuantizedWeight, NDArray[np.float32]]:
    """Return rounded weights and the bias that bring ``columns`` (group * K, n) nearest to ``target`` (O, n).

    ``given``: has the set of codes, and the scales where those are to be kept.
    """
    outputs, taps = weight.shape[0] // group, columns.shape[0] // group
    rows = weight.reshape(weight.shape[0], -1).astype(np.float64)
    best, powers, means, level = np.empty(rows.shape), [], [], target.mean(axis=1, dtype=np.float64)
    for number in range(group):
        own = slice(number * outputs, (number + 1) * outputs)
        found = columns[number * taps : (number + 1) * taps].astype(np.float64)
        wanted = target[own].astype(np.float64)
        mean = found.mean(axis=1)
        found -= mean[:, None]
        power = found @ found.T
        ridge = _RIDGE * max(float(np.trace(power)) / taps, 1e-12)
        power[np.diag_indices(taps)] += ridge
        level[own] = wanted.mean(axis=1)
        best[own] = np.linalg.solve(power, ((wanted - level[own, None]) @ found.T + ridge * rows[own]).T).T
        powers.append(power)
        means.append(mean)
    shaped = best.reshape(weight.shape)
    costs = np.repeat([np.diag(power) for power in powers], outputs, axis=0).reshape(weight.shape)
    among = given.among if keep_scale else given.among.fitted(shaped, costs)
    if keep_scale:
        codes, scale = round_groups(shaped, powers, among, given.scale)
    else:
        codes, scale, among = round_with_outliers(shaped, powers, among)
    real = codes.reshape(group, outputs, taps) * scale.astype(np.float64).reshape(group, outputs, 1)
    bias = level - np.concatenate([rows @ mean for rows, mean in zip(real, means, strict=True)])
    name = given.estimator if keep_scale else "reconstructed"
    return QuantizedWeight(codes, scale, 0, name, among), bias.astype(np.float32)
