"""Interpolation of floats by any factor, of whole packed tensors: places are whole numbers, as in
`toolchain.kernels.resample`, and weights the float32 polynomials of `toolchain.frontend.resize`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.frontend.resize import TAPS, Sampling
from toolchain.kernels.float_expressions import weighted
from toolchain.kernels.float_functions import held
from toolchain.kernels.float_spec import FloatSample
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.resample import nearest_input, place_of, within
from toolchain.kernels.vectors import Vectors


def build(operation: FloatSample, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the function of ``operation``: ``(input, height, tiles, width, rows, across, columns, result)``, where the
    first three sizes are the input's and the last three the result's.
    """
    names = ("height", "tiles", "width", "rows", "across", "columns")
    height, tiles, width, rows, across, columns = (tirx.Var(name, "int64") for name in names)
    source, target, margin, sampling = operation.source, operation.target, geometry.margin, operation.sampling
    down, right = operation.factors or (None, None)
    reach = TAPS[sampling.mode]
    with IRBuilder() as builder, function("resample"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), vectors.dtype))
        declare(height, tiles, width, rows, across, columns)
        y = T.arg("y", T.Buffer(geometry.shape(target.total, rows, across), vectors.dtype))
        places, weights = T.alloc_buffer((columns, reach), "int64"), T.alloc_buffer((columns, reach), "float32")
        with T.serial(0, columns) as column:
            for tap, (place, weight) in enumerate(float_taps(sampling, column, width, columns, right)):
                T.buffer_store(places, place, [column, tap])
                T.buffer_store(weights, weight, [column, tap])
        with T.parallel(0, rows + 2 * margin) as i:
            with T.grid(target.count, across * geometry.columns + 2 * SIDE) as (c, v):
                T.buffer_store(y, tirx.const(0.0, vectors.dtype), [i, target.start + c, v])
            with T.If(tirx.all(i >= margin, i < rows + margin)), T.Then():
                row = T.bind(tirx.Cast("int64", i) - margin)
                lines = [(T.bind(a), held(b)) for a, b in float_taps(sampling, row, height, rows, down)]
                sums = T.alloc_buffer((width,), "float32")
                with T.serial(0, target.count) as c:
                    with T.serial(0, width) as v:
                        given = [x[line + margin, source.start + c, v + SIDE] for line, _ in lines]
                        given = [tirx.Cast("float32", value) for value in given]
                        T.buffer_store(sums, weighted(given, [weight for _, weight in lines]), [v])
                    with T.serial(0, columns) as v:
                        given = [sums[places[v, tap]] for tap in range(reach)]
                        total = weighted(given, [weights[v, tap] for tap in range(reach)])
                        T.buffer_store(y, tirx.Cast(vectors.dtype, total), [i, target.start + c, v + SIDE])
    return builder.get()


def float_taps(
    sampling: Sampling,
    x: Any,
    size: Any,
    out: Any,
    factor: Fraction | None,
    keep: Callable[[Any], Any] = lambda value: value,
) -> list[tuple[Any, Any]]:
    """Return the inputs, within the picture, that output ``x`` of ``out`` is made of, int64, and their weights,
    float32; arguments as of `toolchain.kernels.resample.axis_taps`.
    """
    place, denominator = (keep(part) for part in place_of(sampling.coordinates, x, size, out, factor))
    if sampling.mode == "nearest":
        return [(within(nearest_input(sampling.nearest, place, denominator), size), _real(1.0))]
    first = keep(tirx.floordiv(place, denominator))
    s = keep(tirx.Cast("float32", place - first * denominator) / tirx.Cast("float32", denominator))
    if sampling.mode == "linear":
        return [(within(first, size), _real(1.0) - s), (within(first + 1, size), s)]
    a, u = sampling.alpha, keep(_real(1.0) - s)
    weights = [keep(weight) for weight in (_far(a, s, u), _near(a, s), _near(a, u), _far(a, u, s))]
    indices = [first - 1, first, first + 1, first + 2]
    if sampling.exclude_outside:
        known = [tirx.all(index >= 0, index < size) for index in indices]
        weights = [keep(tirx.Select(here, weight, _real(0.0))) for here, weight in zip(known, weights, strict=True)]
        total = keep(weights[0] + weights[1] + weights[2] + weights[3])
        weights = [weight / total for weight in weights]
    return [(within(index, size), weight) for index, weight in zip(indices, weights, strict=True)]


def _near(a: float, s: Any) -> Any:
    """Return the cubic kernel's weight of an input less than one away."""
    return (_real(a + 2) * s - _real(a + 3)) * s * s + _real(1.0)


def _far(a: float, s: Any, u: Any) -> Any:
    """Return the cubic kernel's weight of an input one and ``s`` away, where ``u`` is 1 - ``s``."""
    return _real(a) * s * u * u


def _real(value: float) -> Any:
    return tirx.const(value, "float32")
