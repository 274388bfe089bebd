"""Interpolation in integers by any factor, of whole packed tensors: the formulas of `toolchain.frontend.fixed_point`
for sizes that are not known yet.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.frontend.fixed_point import ONE, WEIGHT_BITS, alpha_of
from toolchain.frontend.resize import TAPS, Sampling
from toolchain.kernels.epilogue import activate, code_bits, flipped, outside_word, residual_code
from toolchain.kernels.function import declare, function, int64
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Interpolate, Operand
from toolchain.kernels.view import View

WORD = "int32x4"
"""The four numbers of a word's channels, which a vector holds."""


def build(operation: Interpolate, geometry: Geometry) -> tirx.PrimFunc:
    """Return the function of ``operation``: ``(input, residual and slopes if any, height, tiles, width, rows, across,
    columns, result)``, where the first three sizes are the input's and the last three the result's.
    """
    names = ("height", "tiles", "width", "rows", "across", "columns")
    height, tiles, width, rows, across, columns = (tirx.Var(name, "int64") for name in names)
    source, target, requantize, margin = operation.source, operation.target, operation.requantize, geometry.margin
    residual, sampling = requantize.residual, operation.resizing.sampling
    down, right = operation.resizing.factors or (None, None)
    pitch = across * geometry.columns + 2 * SIDE
    multiplier = tirx.const(operation.multiplier, "float32")
    with IRBuilder() as builder, function("resample"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), "uint32"))
        r: Any = residual and T.arg("r", T.Buffer(geometry.shape(residual.view.total, rows, across), "uint32"))
        slope = T.arg("slope", T.Buffer((target.count * PACK,), "float32")) if requantize.slopes else None
        declare(height, tiles, width, rows, across, columns)
        y = T.arg("y", T.Buffer(geometry.shape(target.total, rows, across), "uint32"))
        reach = 1 if right == 1 else TAPS[sampling.mode]
        places = T.alloc_buffer((columns, reach), "int64")
        weights = T.alloc_buffer((columns, reach), "int32")
        with T.serial(0, columns) as column:
            for tap, (place, weight) in enumerate(axis_taps(sampling, column, width, columns, right)):
                T.buffer_store(places, place, [column, tap])
                T.buffer_store(weights, weight, [column, tap])
        with T.parallel(0, rows + 2 * margin) as i:
            for first, zero in target.planes(requantize.zero_point):
                with T.grid(target.count, pitch) as (b, v):
                    T.buffer_store(y, outside_word(zero, geometry.offset), [i, first + b, v])
            with T.If(tirx.all(i >= margin, i < rows + margin)), T.Then():

                def given(line: Any, v: Any, b: Any) -> Any:
                    return flipped(x[line + margin, b, v + SIDE], geometry.offset)

                def other(v: Any, b: Any) -> Any:
                    return flipped(r[i, b, v + SIDE], geometry.offset)

                row = T.bind(tirx.Cast("int64", i) - margin)
                lines = [(T.bind(a), T.bind(b)) for a, b in axis_taps(sampling, row, height, rows, down)]
                sums = T.alloc_buffer((width * PACK,), "int32")
                with T.serial(0, target.count) as block:
                    with T.serial(0, width) as v:
                        total: Any = None
                        for line, weight in lines:
                            codes = codes_of(partial(given, line, v), source, block)
                            part = (codes - _int32(operation.zero_point)) * weight
                            total = part if total is None else total + part
                        half = _int32(1 << (operation.dropped - 1))
                        T.buffer_store(sums, (total + half) >> _int32(operation.dropped), [_lanes(v)])
                    with T.serial(0, columns) as v:
                        parts = [sums.vload([places[v, tap] * PACK], WORD) * weights[v, tap] for tap in range(reach)]
                        total = parts[0]
                        for part in parts[1:]:
                            total = total + part
                        added = None if residual is None else _added(partial(other, v), residual, target.count, block)
                        bend = None if slope is None else slope.vload([block * PACK], "float32x4")
                        bits = code_bits(activate(total, multiplier, bend, added, requantize), requantize)
                        put(y, bits, target, (i, block, v + SIDE), geometry)
    return builder.get()


def codes_of(read: Callable[[Any], Any], view: View, block: Any) -> Any:
    """Return the four codes of a word of block ``block`` of ``view``, where ``read`` gives a buffer's word."""
    high, *low = (tirx.Cast(WORD, tirx.reinterpret("uint8x4", read(first + block))) for first, _ in view.planes(0))
    return high * _int32(256) + low[0] if low else high


def put(y: Any, bits: Any, target: View, place: tuple[Any, Any, Any], geometry: Geometry) -> None:
    """Store four int32, of which the low bits are codes, at a row, block of ``target`` and column of ``y``."""
    row, block, column = place
    planes = [bits >> _int32(8), bits] if target.wide else [bits]
    for (first, _), found in zip(target.planes(0), planes, strict=True):
        word = tirx.reinterpret("uint32", tirx.Cast("uint8x4", found))
        T.buffer_store(y, flipped(word, geometry.offset), [row, first + block, column])


def _added(read: Callable[[Any], Any], residual: Operand, blocks: int, block: Any) -> Any:
    """Return what is added to the four channels of a block, of ``blocks``."""
    if residual.divide == 1 and residual.modulo == residual.view.count * PACK == blocks * PACK:
        return codes_of(read, residual.view, block)
    found = [residual_code(read, residual, blocks, block, position) for position in range(PACK)]
    return tirx.Shuffle(found, [_int32(position) for position in range(PACK)])


def axis_taps(
    sampling: Sampling,
    x: Any,
    size: Any,
    out: Any,
    factor: Fraction | None,
    keep: Callable[[Any], Any] = lambda value: value,
) -> list[tuple[Any, Any]]:
    """Return the inputs, within the picture, that output ``x`` of ``out`` is made of, int64, and their weights, int32;
    as `toolchain.frontend.fixed_point.axis_weights`. Without a factor it is that of the sizes. ``keep`` is given
    what is used more than once, and returns it as a variable.
    """
    if factor == 1:
        return [(x, _int32(ONE))]
    place, denominator = (keep(part) for part in place_of(sampling.coordinates, x, size, out, factor))
    if sampling.mode == "nearest":
        return [(within(nearest_input(sampling.nearest, place, denominator), size), _int32(ONE))]
    first = keep(tirx.floordiv(place, denominator))
    beyond = keep((place - first * denominator) * int64(2 * ONE) + denominator)
    s = keep(tirx.floordiv(beyond, 2 * denominator))
    u = keep(int64(ONE) - s)
    if sampling.mode == "linear":
        indices, weights = [first, first + 1], [u, s]
    else:
        a = alpha_of(sampling)
        far, farther = (keep(_rounded(int64(a) * s * u * other)) for other in (u, s))
        near = keep(_rounded(int64(a + 2 * ONE) * s * s * s - int64((a + 3 * ONE) * ONE) * s * s + int64(ONE**4)))
        indices = [first - 1, first, first + 1, first + 2]
        weights = [far, near, int64(ONE) - far - near - farther, farther]
        if sampling.exclude_outside:
            weights = _without(weights, [tirx.all(index >= 0, index < size) for index in indices], keep)
    return [(within(i, size), tirx.Cast("int32", w)) for i, w in zip(indices, weights, strict=True)]


def nearest_input(rounding: str, place: Any, denominator: Any) -> Any:
    """Return the input that is nearest to ``place`` over ``denominator``."""
    return {
        "floor": tirx.floordiv(place, denominator),
        "ceil": -tirx.floordiv(-place, denominator),
        "round_prefer_floor": -tirx.floordiv(denominator - 2 * place, 2 * denominator),
        "round_prefer_ceil": tirx.floordiv(2 * place + denominator, 2 * denominator),
    }[rounding]


def place_of(coordinates: str, x: Any, size: Any, out: Any, factor: Fraction | None) -> tuple[Any, Any]:
    """Return where output ``x`` lies among the inputs: numerator and denominator."""
    one, zero = int64(1), int64(0)
    n, d = (out, size) if factor is None else (int64(factor.numerator), int64(factor.denominator))
    if coordinates == "align_corners":
        return tirx.Select(out > 1, x * (size - 1), zero), tirx.max(out - 1, one)
    if coordinates == "asymmetric":
        return x * d, n
    if coordinates == "tf_half_pixel_for_nn":
        return (2 * x + 1) * d, 2 * n
    half = (2 * x + 1) * d - n
    if coordinates == "half_pixel_symmetric":
        half = half + (size * n - out * d)
    elif coordinates == "pytorch_half_pixel":
        half = tirx.Select(out > 1, half, zero)
    return half, 2 * n


def _without(weights: list[Any], inside: list[Any], keep: Callable[[Any], Any]) -> list[Any]:
    """Return weights that add up without inputs outside of the picture."""
    zero = int64(0)
    kept = [keep(tirx.Select(here, weight, zero)) for here, weight in zip(inside, weights, strict=True)]
    total = keep(kept[0] + kept[1] + kept[2] + kept[3])
    scaled = [
        keep(tirx.Select(here, tirx.floordiv(weight * int64(2 * ONE) + total, 2 * total), zero))
        for here, weight in zip(inside, kept, strict=True)
    ]
    rest = keep(int64(ONE) - (scaled[0] + scaled[1] + scaled[2] + scaled[3]))
    scaled[1], scaled[2] = (
        scaled[1] + tirx.Select(inside[1], rest, zero),
        scaled[2] + tirx.Select(inside[1], zero, rest),
    )
    return scaled


def _rounded(value: Any) -> Any:
    """Divide by ``ONE**3``, half up."""
    bits = 3 * WEIGHT_BITS
    return (value + int64(1 << (bits - 1))) >> int64(bits)


def within(index: Any, size: Any) -> Any:
    """Return the input nearest to number ``index`` of so many."""
    return tirx.max(tirx.min(index, size - 1), int64(0))


def _lanes(place: Any) -> Any:
    return tirx.Ramp(place * PACK, 1, PACK)


def _int32(value: int) -> Any:
    return tirx.const(value, "int32")
