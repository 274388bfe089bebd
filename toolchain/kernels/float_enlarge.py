"""Enlargement of floats by a whole factor, on windows of rows, as `toolchain.kernels.enlarge` does it for codes: a row
of sums for each row of the result, of as many columns as the input has, and then of each of its pixels several.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.frontend.fixed_point import Resizing, phases
from toolchain.frontend.resize import axis_matrix
from toolchain.kernels.float_expressions import inside, ramp, shuffled, weighted
from toolchain.kernels.float_spec import FloatEnlarge, FloatPhase
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.vectors import Vectors

_MIDDLE = 4
"""An input that is far from both borders."""


def float_phases(resizing: Resizing) -> tuple[FloatPhase, ...]:
    """Return the outputs that every input becomes in each direction; none where they are not all alike."""
    factor = len(phases(resizing))
    if not factor:
        return ()
    size = 2 * _MIDDLE + 1
    matrix = axis_matrix(resizing.sampling, size, size * factor, Fraction(factor))
    found = []
    for row in matrix[_MIDDLE * factor : (_MIDDLE + 1) * factor]:
        used = np.flatnonzero(row)
        found.append(FloatPhase(int(used[0]) - _MIDDLE, tuple(float(w) for w in row[used[0] : used[-1] + 1])))
    return tuple(found)


def build(operation: FloatEnlarge, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the function of ``operation``: input, number of the first row, height of the input, rows, tiles, width,
    output. The sizes are the input's, which has ``operation.surroundings`` rows around those computed.
    """
    names = ("first", "whole", "rows", "tiles", "width")
    first, whole, rows, tiles, width = (tirx.Var(name, "int64") for name in names)
    source, target, given, lanes = operation.source, operation.target, operation.phases, vectors.lanes
    (above, below), factor = operation.surroundings, len(given)
    wide_tiles = tirx.floordiv(width * factor + (geometry.columns - 1), geometry.columns)
    columns = wide_tiles * geometry.columns
    with IRBuilder() as builder, function("enlarge"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, rows + (above + below), tiles), vectors.dtype))
        declare(first, whole, rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows * factor, wide_tiles), vectors.dtype))
        sums = T.alloc_buffer((tiles * geometry.columns + 2 * SIDE,), vectors.dtype)
        with T.grid(rows, source.count) as (h, c):
            for p, phase in enumerate(given):
                lines = [
                    T.bind(_clamped(first + h + (phase.first + tap), whole) - first + above)
                    for tap in range(len(phase.weights))
                ]
                with T.serial(0, tiles * (geometry.columns // lanes)) as u:
                    parts = [x.vload([line, source.start + c, u * lanes + SIDE], vectors.type) for line in lines]
                    T.buffer_store(sums, _sum(parts, phase, vectors), [ramp(u * lanes + SIDE, lanes)])
                for step in range(max(above, below)):
                    T.buffer_store(sums, sums[SIDE], [SIDE - 1 - step])
                    T.buffer_store(sums, sums[SIDE + width - 1], [width + (SIDE + step)])
                with T.serial(0, tirx.floordiv(columns + (lanes * factor - 1), lanes * factor)) as u:
                    made = []
                    for across in given:
                        places = [u * lanes + (SIDE + across.first + tap) for tap in range(len(across.weights))]
                        parts = [sums.vload([place], vectors.type) for place in places]
                        made.append(T.bind(_sum(parts, across, vectors)))
                    for q in range(factor):
                        column = (u * factor + q) * lanes
                        numbers = range(q * lanes, (q + 1) * lanes)
                        value = shuffled(made, [number % factor * lanes + number // factor for number in numbers])
                        with T.If(column < columns), T.Then():
                            place = [h * factor + p, target.start + c, ramp(column + SIDE, lanes)]
                            T.buffer_store(y, inside(value, column, width * factor, vectors), place)
    return builder.get()


def _sum(parts: list[Any], phase: FloatPhase, vectors: Vectors) -> Any:
    return weighted(parts, [vectors.all(weight) for weight in phase.weights])


def _clamped(row: Any, height: Any) -> Any:
    return tirx.max(tirx.min(row, height - 1), tirx.const(0, "int64"))
