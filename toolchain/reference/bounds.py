"""What every integer of a quantized network can reach, for any picture: interval arithmetic over its kernels.

Each channel's codes have a smallest and a largest value; each kernel carries them to those of its result. The bounds
are sound, not tight: that two channels cannot be extreme at once is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.reference.arithmetic import activate, finish, multiplier, requantize, scaled
from toolchain.reference.average import average_multipliers
from toolchain.reference.channel_pool import finished
from toolchain.reference.global_pool import fraction_bits, pooled_reals
from toolchain.reference.pairs import largest_pairs
from toolchain.reference.products import pair_ends
from toolchain.reference.program import ShuffleStep, Step, parse
from toolchain.reference.quantization import BITS, QMAX, QMIN, CodeArray, Quantization
from toolchain.reference.resizing import Precision, ends
from toolchain.reference.steps import (
    AverageStep,
    ChannelPoolStep,
    Codes,
    ConcatStep,
    ConvStep,
    ExtremeStep,
    GlobalPoolStep,
    InputStep,
    PoolStep,
    ProductStep,
    ResizeStep,
    SelectStep,
    SpaceToDepthStep,
    SumStep,
    TableStep,
    WindowStep,
)

LIMIT = 2**31
PAIR_LIMIT = 2**15
_EXACT = 2**24  # integers up to here are exact in float32
_STORED = 128  # a kernel may keep bytes as signed ones, less this

Reals: TypeAlias = NDArray[np.float32]
Values = TypeVar("Values", Reals, CodeArray)


@dataclass(frozen=True)
class Interval:
    """Smallest and largest code of each channel (C, 1, 1); (1, 1, 1) where ``uniform``: of all, however many."""

    low: CodeArray
    high: CodeArray
    uniform: bool = False


@dataclass(frozen=True)
class AccumulatorBounds:
    """What a convolution's accumulators can reach, for any picture.

    Attributes:
        name: of the convolution.
        low, high: of the finished sums, bias included, over all channels.
        partial: no partial sum exceeds this in magnitude, in whatever order the products are added, whether codes are
            stored as they are, less their zero point, or each byte less 128, and the difference folded into the bias;
            of 16-bit codes, whose sums over the high bytes come first and count 256 times, too.
        pair: no two neighbouring products of one sign exceed this together, see ``pairs``; of 16-bit codes, by bytes.
    """

    name: str
    low: int
    high: int
    partial: int
    pair: int = 0


@dataclass(frozen=True)
class NetworkBounds:
    """Bounds of a whole network: its convolutions' accumulators and the codes that leave each kernel, by name."""

    accumulators: tuple[AccumulatorBounds, ...]
    codes: Mapping[str, Interval]
    result: Quantization

    @property
    def largest(self) -> AccumulatorBounds | None:
        """The accumulators with the largest partial sums; None in a network without integer convolutions."""
        return max(self.accumulators, key=lambda found: found.partial, default=None)

    @property
    def largest_pair(self) -> AccumulatorBounds | None:
        """The accumulators with the largest pair of products; None in a network without integer convolutions."""
        return max(self.accumulators, key=lambda found: found.pair, default=None)

    @property
    def proved(self) -> bool:
        """Whether no partial sum of any accumulator can leave int32."""
        return self.largest is None or self.largest.partial < LIMIT

    @property
    def pairs(self) -> bool:
        """Whether no two neighbouring products leave int16, in which some runtimes add them up on some processors."""
        return self.largest_pair is None or self.largest_pair.pair < PAIR_LIMIT

    @property
    def exact(self) -> bool:
        """Whether every finished sum is exact in float32, in which it is scaled."""
        return all(max(-found.low, found.high) <= _EXACT for found in self.accumulators)

    def clips(self, low: float, high: float) -> bool:
        """Return whether saturation of the result's codes is the clip to [low, high], for every value before it.

        Rounding is monotone, so it is enough that the bounds themselves are the first and the last code.
        """
        ends = self.result.quantize(np.array([low, high], np.float32))
        return bool(ends[0] == QMIN and ends[1] == QMAX)


@dataclass(frozen=True)
class Proof:
    """What holds for every picture whatever.

    Attributes:
        convolution: the one with the largest partial sums; empty in a network without integer convolutions.
        partial: no partial sum of any accumulator exceeds this in magnitude, see ``AccumulatorBounds``.
        fits: none can leave int32.
        exact: every finished sum is exact in float32.
        clips: saturation of the result is the clip to the picture's range.
        pair: no two neighbouring products of one sign exceed this together, see ``AccumulatorBounds``.
        paired: the convolution where they may reach it; empty in a network without integer convolutions.
        pairs: no two leave int16, so that runtimes that add them in 16 bits have nothing to saturate.
        together: so many pairs, whichever, may be added up in int16 before they are widened; 0 where ``pairs`` is not
            so. Intervals through integer convolutions: QA-IBP, arXiv 2211.16187.
    """

    convolution: str
    partial: int
    fits: bool
    exact: bool
    clips: bool
    pair: int = 0
    paired: str = ""
    pairs: bool = True
    together: int = 1

    def __str__(self) -> str:
        """For people."""
        power = f"2^{math.log2(max(1, self.partial)):.1f}"
        sums = f"no sum exceeds {power} of 2^31" if self.fits else f"sums may reach {power}, beyond 2^31"
        place = f" (largest in '{self.convolution}')" if self.convolution else ""
        exact = "all are exact in float32" if self.exact else "not all are exact in float32"
        pairs = f"no two products exceed {self.pair} of 2^15"
        if self.together > 1:
            pairs += f", and the sum of {self.together} pairs fits too"
        if not self.pairs:
            pairs = (
                f"two products may reach {self.pair}, beyond 2^15, in '{self.paired}': on x86 without VNNI "
                "onnxruntime and OpenVINO saturate them and give another picture"
            )
        return f"{sums}{place}, {exact}; {pairs}; saturation is {'' if self.clips else 'not '}the clip"


def prove(model: onnx.ModelProto, value_range: tuple[float, float]) -> Proof:
    """Return what can be said of a canonical QDQ model of pictures in ``value_range``, for every picture.

    Raises:
        ModelError: the model is not canonical, or a convolution's sum could leave int32.
    """
    bounds = find_bounds(model)
    largest, pair = bounds.largest, bounds.largest_pair
    name, partial = (largest.name, largest.partial) if largest else ("", 0)
    paired, products = (pair.name, pair.pair) if pair else ("", 0)
    together = (PAIR_LIMIT - 1) // products if products else 1
    clips = bounds.clips(*value_range)
    return Proof(name, partial, bounds.proved, bounds.exact, clips, products, paired, bounds.pairs, together)


def find_bounds(model: onnx.ModelProto) -> NetworkBounds:
    """Bounds of a canonical QDQ model.

    Raises:
        ModelError: the model is not canonical, or a convolution's sum could leave int32.
    """
    program = parse(model)
    channels = int(model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)
    codes: dict[str, Interval] = {}
    accumulators = []
    for step in program.steps:
        if isinstance(step, ConvStep):
            found, sums = _convolution(step, codes)
            codes[step.out.tensor] = found
            accumulators.append(sums)
        else:
            codes[step.out.tensor] = _moved(step, codes, channels)
    return NetworkBounds(tuple(accumulators), codes, program.result.quantization)


def _moved(step: Step, codes: Mapping[str, Interval], channels: int) -> Interval:
    if isinstance(step, InputStep):
        return Interval(np.full((channels, 1, 1), QMIN, np.uint8), np.full((channels, 1, 1), QMAX, np.uint8))
    carry = _CARRY.get(type(step))
    if carry is not None:
        return carry(step, [codes[given.tensor] for given in step.reads])
    out = step.out.quantization
    everything = np.array([QMIN, out.qmax], out.dtype).reshape(2, 1, 1, 1)
    return Interval(everything[0], everything[1], uniform=True)


def _summed(step: SumStep, terms: list[Interval]) -> Interval:
    reals = [_real(term, given, step.out) for term, given in zip(step.terms, terms, strict=True)]
    low, high = (reduce(np.add, [real[end] for real in reals]) for end in (0, 1))
    ends = _span(lambda values: finish(values, step.after, step.out.quantization), low, high)
    return Interval(*ends, all(term.uniform for term in terms))


def _selected(step: SelectStep, given: list[Interval]) -> Interval:
    (found,), channels = given, list(step.channels)
    return found if found.uniform else Interval(found.low[channels], found.high[channels])


def _kept(_step: PoolStep, given: list[Interval]) -> Interval:
    return given[0]


def _squares(step: SpaceToDepthStep, given: list[Interval]) -> Interval:
    (found,), places = given, (step.size**2, 1, 1)
    return found if found.uniform else Interval(np.tile(found.low, places), np.tile(found.high, places))


def _interpolated(step: ResizeStep, reads: list[Interval]) -> Interval:
    found, given, out = reads[0], step.source.quantization, step.out.quantization
    factor = multiplier(given.scale, 2.0 ** -Precision.of(given).fraction, out.scale)
    low, high = (end * factor for end in ends(found.low, found.high, given, step.resizing))
    if step.residual is not None:
        below, above = _real(step.residual, reads[1], step.out)
        low, high = low + below, high + above
    span = _span(lambda values: finish(values, step.after, out), low, high)
    return Interval(*span, found.uniform)


def _paired(step: ProductStep | ExtremeStep, given: list[Interval]) -> Interval:
    first, second = given
    reals = pair_ends(step, ((first.low, first.high), (second.low, second.high)))
    low, high = _span(lambda values: finish(values, step.after, step.out.quantization), *reals)
    return Interval(low, high, len(low) == 1 and (first.uniform or second.uniform))


def _pooled(step: GlobalPoolStep, pictures: list[Interval]) -> Interval:
    (found,), given, out = pictures, step.source.quantization, step.out.quantization
    fixed = [end.astype(np.int64) << fraction_bits(given) for end in (found.low, found.high)]
    low, high = (pooled_reals(end, given, out) for end in fixed)
    return Interval(*_span(lambda values: finish(values, step.after, out), low, high), found.uniform)


def _averaged(step: AverageStep, pictures: list[Interval]) -> Interval:
    (found,), given, out = pictures, step.source.quantization, step.out.quantization
    factors = average_multipliers(given, out, step)
    counts = np.arange(1, len(factors))
    reals = [
        np.stack([scaled(end, given.zero_point, np.asarray(count, np.float32)) * factors[count] for count in counts])
        for end in (found.low, found.high)
    ]
    low, high = reals[0].min(axis=0), reals[1].max(axis=0)
    return Interval(*_span(lambda values: finish(values, step.after, out), low, high), found.uniform)


def _extreme(step: ChannelPoolStep, pictures: list[Interval]) -> Interval:
    (found,) = pictures
    end = np.min if step.kind == "min" else np.max
    low, high = (finished(step, end(codes, axis=0, keepdims=True)) for codes in (found.low, found.high))
    return Interval(low, high, found.uniform)


def _convolution(step: ConvStep, codes: Mapping[str, Interval]) -> tuple[Interval, AccumulatorBounds]:
    given, out = codes[step.source.tensor], step.out.quantization
    low, high, partial, pair = _sums(step, given)
    factor = multiplier(step.source.quantization.scale, step.weight_scale, out.scale).reshape(-1, 1, 1)
    reals = (low.astype(np.float32) * factor, high.astype(np.float32) * factor)
    if step.before is not None:
        before = step.before
        reals = _span(lambda values: activate(values, before, out), *reals)
    if step.residual is not None:
        residual = _real(step.residual, codes[step.residual.tensor], step.out)
        reals = (reals[0] + residual[0], reals[1] + residual[1])
    ends = _span(lambda values: finish(values, step.after, out), *reals)
    return Interval(*ends), AccumulatorBounds(step.accumulator, int(low.min()), int(high.max()), partial, pair)


def _sums(step: ConvStep, given: Interval) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Return the accumulators' ends, int64 (O, 1, 1), the largest partial sum and the largest pair of products."""
    convolution, source = step.convolution, step.source.quantization
    zero = source.zero_point
    weight = convolution.grouped().astype(np.int64)  # (group, O / group, I / group, kh, kw)
    group, inputs = weight.shape[0], weight.shape[2]
    low, high = (
        np.broadcast_to(end.reshape(-1), group * inputs).astype(np.int64).reshape(group, 1, inputs)
        for end in (given.low, given.high)
    )
    if any(convolution.pads) or convolution.transposed:
        # A tap may meet padding, which is the zero point, or (transposed) nothing, which comes to the same.
        low, high = np.minimum(low, zero), np.maximum(high, zero)
    positive, negative = np.maximum(weight, 0).sum(axis=(3, 4)), np.minimum(weight, 0).sum(axis=(3, 4))
    bias = convolution.bias.astype(np.int64).reshape(group, -1)
    smallest = bias + (positive * (low - zero) + negative * (high - zero)).sum(axis=2)
    largest = bias + (positive * (high - zero) + negative * (low - zero)).sum(axis=2)
    partial = 0
    for offset in (0, zero, _STORED * source.qmax // QMAX):
        folded = bias + (offset - zero) * (positive + negative).sum(axis=2)
        # A high byte alone is up to 255 below its code.
        reach = np.maximum(np.abs(low - offset), np.abs(high - offset)) + (0 if source.bits == BITS else QMAX)
        partial = max(partial, int((np.abs(folded) + ((positive - negative) * reach).sum(axis=2)).max(initial=0)))
    products = (weight * np.minimum(high, QMAX)[..., None, None]).reshape(-1, *weight.shape[2:])
    pair = int(largest_pairs(products).max(initial=0))
    return smallest.reshape(-1, 1, 1), largest.reshape(-1, 1, 1), partial, pair


def _span(function: Callable[[Reals], Values], low: Reals, high: Reals) -> tuple[Values, Values]:
    """Return the ends of what a function gives between ``low`` and ``high`` that is monotone on each side of 0."""
    nearest = np.minimum(np.maximum(low, np.float32(0)), high)
    values = [function(at) for at in (low, high, nearest)]
    return np.minimum.reduce(values), np.maximum.reduce(values)


def _real(codes: Codes, found: Interval, out: Codes) -> tuple[Reals, Reals]:
    """Codes as real numbers in steps of ``out``."""
    given = codes.quantization
    factor = multiplier(given.scale, 1.0, out.quantization.scale)
    return scaled(found.low, given.zero_point, factor), scaled(found.high, given.zero_point, factor)


def _requantized(found: Interval, given: Codes, wanted: Codes) -> Interval:
    low, high = (requantize(end, given.quantization, wanted.quantization) for end in (found.low, found.high))
    return Interval(low, high, found.uniform)


def _together(step: ConcatStep, given: list[Interval]) -> Interval:
    parts = [_requantized(found, part, step.out) for found, part in zip(given, step.parts, strict=True)]
    low, high = np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts])
    if any(part.uniform for part in parts):
        return Interval(low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True), uniform=True)
    return Interval(low, high)


def _widened(step: WindowStep, given: list[Interval]) -> Interval:
    """With the code of added pixels."""
    (found,) = given
    if step.window.mode != "constant" or max(step.window.pads) <= 0:
        return found
    fill = np.asarray(step.fill, found.low.dtype)
    return Interval(np.minimum(found.low, fill), np.maximum(found.high, fill), found.uniform)


def _looked_up(step: TableStep, given: list[Interval]) -> Interval:
    """Return the least and the largest of what a table has between the ends."""
    (found,), table = given, step.table
    channels = max(len(table), found.low.shape[0])
    ends = (np.broadcast_to(end.reshape(-1), channels) for end in (found.low, found.high))
    parts = [table[c % len(table), low : int(high) + 1] for c, (low, high) in enumerate(zip(*ends, strict=True))]
    low, high = (np.array([end(part) for part in parts], table.dtype).reshape(-1, 1, 1) for end in (np.min, np.max))
    return Interval(low, high, found.uniform and len(table) == 1)


def _shuffled(step: ShuffleStep, given: list[Interval]) -> Interval:
    (found,), positions = given, step.block**2
    if found.uniform:
        return found
    shape, axis = ((positions, -1), 0) if step.mode == "DCR" else ((-1, positions), 1)
    low, high = found.low.reshape(shape).min(axis=axis), found.high.reshape(shape).max(axis=axis)
    return Interval(low.reshape(-1, 1, 1), high.reshape(-1, 1, 1))


_CARRY: Mapping[type, Callable[[Any, list[Interval]], Interval]] = {
    SumStep: _summed,
    ConcatStep: _together,
    ShuffleStep: _shuffled,
    SelectStep: _selected,
    WindowStep: _widened,
    TableStep: _looked_up,
    ResizeStep: _interpolated,
    ProductStep: _paired,
    ExtremeStep: _paired,
    GlobalPoolStep: _pooled,
    PoolStep: _kept,
    AverageStep: _averaged,
    ChannelPoolStep: _extreme,
    SpaceToDepthStep: _squares,
}
"""What becomes of the intervals that a step reads, but for convolutions; of others anything may come."""
