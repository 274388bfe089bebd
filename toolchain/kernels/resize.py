"""Interpolation of float tensors along one axis, for any size: the formulas of `toolchain.frontend.resize`.

Indices and weights of an axis are tables, computed first. Weights and sums are float64: where factors are powers of
two, sums are exact then, and what lies halfway between two codes is rounded to the same one as by the reference,
whether or not the compiler fuses products with additions. An axis' result is float32.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.frontend.resize import TAPS, Sampling
from toolchain.kernels.function import function


def resize_axis(sampling: Sampling, channels: int, axis: int, factor: Fraction | None) -> tirx.PrimFunc:
    """Float32 (1, channels, height, width) made ``factor`` times as high (axis 0) or wide (1): ``(input, result)``.
    None: as much as the result is.
    """
    height, width, out = (tirx.Var(name, "int64") for name in ("height", "width", "out"))
    size, taps = (height, width)[axis], TAPS[sampling.mode]
    with IRBuilder() as builder, function("resize"):
        x = T.arg("x", T.Buffer((1, channels, height, width), "float32"))
        shape = (1, channels, out, width) if axis == 0 else (1, channels, height, out)
        y = T.arg("y", T.Buffer(shape, "float32"))
        places = T.sblock_alloc_buffer((out, taps), "int64")
        weights = T.sblock_alloc_buffer((out, taps), "float64")
        with T.serial(0, out) as loop, T.sblock("tables"):
            row = T.axis.spatial(out, loop)
            T.writes(places[row, 0:taps], weights[row, 0:taps])
            for tap, (index, weight) in enumerate(_taps(sampling, row, size, out, factor)):
                T.buffer_store(places, index, [row, tap])
                T.buffer_store(weights, weight, [row, tap])
        with T.parallel(0, shape[2]) as i, T.serial(0, channels) as k, T.serial(0, shape[3]) as j, T.sblock("sums"):
            h, c, v = T.axis.remap("SSS", [i, k, j])
            at = h if axis == 0 else v
            total: Any = None
            for tap in range(taps):
                index = places[at, tap]
                value = x[0, c, index, v] if axis == 0 else x[0, c, h, index]
                part = tirx.Cast("float64", value) * weights[at, tap]
                total = part if total is None else total + part
            T.buffer_store(y, tirx.Cast("float32", total), [0, c, h, v])
    return builder.get()


def _taps(sampling: Sampling, row: Any, size: Any, out: Any, factor: Fraction | None) -> list[tuple[Any, Any]]:
    """Return inputs that output ``row`` is made of, within the picture, and their weights, float64 expressions."""
    place = _place(sampling.coordinates, row, size, out, factor)
    first = tirx.floor(place)
    if sampling.mode == "nearest":
        rounded = {
            "floor": first,
            "ceil": tirx.ceil(place),
            "round_prefer_floor": tirx.ceil(place - _real(0.5)),
            "round_prefer_ceil": tirx.floor(place + _real(0.5)),
        }[sampling.nearest]
        return [(_inside(tirx.Cast("int64", rounded), size), _real(1.0))]
    start, s = tirx.Cast("int64", first), place - first
    if sampling.mode == "linear":
        return [(_inside(start, size), _real(1.0) - s), (_inside(start + 1, size), s)]
    a = sampling.alpha
    t = [_real(1.0) + s, s, _real(1.0) - s, _real(2.0) - s]
    weights = [_far(a, t[0]), _near(a, t[1]), _near(a, t[2]), _far(a, t[3])]
    indices = [start - 1, start, start + 1, start + 2]
    if sampling.exclude_outside:
        weights = [
            tirx.Select(tirx.all(index >= 0, index < size), weight, _real(0.0))
            for index, weight in zip(indices, weights, strict=True)
        ]
    total = weights[0] + weights[1] + weights[2] + weights[3]
    return [(_inside(i, size), w / total) for i, w in zip(indices, weights, strict=True)]


def _near(a: float, t: Any) -> Any:
    return (_real(a + 2) * t - _real(a + 3)) * t * t + _real(1.0)


def _far(a: float, t: Any) -> Any:
    return ((_real(a) * t - _real(5 * a)) * t + _real(8 * a)) * t - _real(4 * a)


def _place(coordinates: str, row: Any, size: Any, out: Any, factor: Fraction | None) -> Any:
    """Where output ``row`` lies among ``size`` inputs."""
    x, length, made = (tirx.Cast("float64", number) for number in (row, size, out))
    scale = made / length if factor is None else _real(float(factor))
    half = (x + _real(0.5)) / scale - _real(0.5)
    match coordinates:
        case "half_pixel":
            return half
        case "half_pixel_symmetric":
            return length / _real(2.0) * (_real(1.0) - made / (scale * length)) + half
        case "pytorch_half_pixel":
            return tirx.Select(out > 1, half, _real(0.0))
        case "align_corners":
            return x * (length - _real(1.0)) / tirx.max(made - _real(1.0), _real(1.0))
        case "asymmetric":
            return x / scale
    return (x + _real(0.5)) / scale


def _inside(index: Any, size: Any) -> Any:
    zero, one = tirx.const(0, "int64"), tirx.const(1, "int64")
    return tirx.max(tirx.min(index, size - one), zero)


def _real(value: float) -> Any:
    return tirx.const(value, "float64")
