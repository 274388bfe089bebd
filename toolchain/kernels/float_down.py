"""Float kernels that make pictures smaller: pixels laid into phases, the largest of every window, and what is made of
the whole picture; scalars come before the output and are those of what is written.
"""

from __future__ import annotations

import itertools
import math
from functools import reduce

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import phase, tap
from toolchain.kernels.float_expressions import inside, ramp, shuffled, within
from toolchain.kernels.float_spec import FloatGlobalPool
from toolchain.kernels.function import declare, function, int64
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.phases import Pool, SpaceToDepth
from toolchain.kernels.vectors import Vectors


def space_to_depth(operation: SpaceToDepth, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the function that lays ``size`` rows into one."""
    rows, tiles, width = (tirx.Var(name, "int64") for name in ("rows", "tiles", "width"))
    source, target, size, lanes = operation.source, operation.target, operation.size, vectors.lanes
    across = tirx.floordiv(width * size + (geometry.columns - 1), geometry.columns)
    last = across * geometry.columns + (SIDE - lanes)  # behind it, a vector leaves the tensor
    with IRBuilder() as builder, function("space_to_depth"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, rows * size, across), vectors.dtype))
        declare(rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows, tiles), vectors.dtype))
        with T.grid(rows, source.count, size, tiles * (geometry.columns // lanes)) as (h, b, i, u):
            starts = [tirx.min((u * size + q) * lanes, last) for q in range(size)]
            given = [T.bind(x.vload([h * size + i, source.start + b, start + SIDE], vectors.type)) for start in starts]
            for j in range(size):
                value = shuffled(given, [j + size * lane for lane in range(lanes)])
                channel = target.start + (b * size + i) * size + j
                place = [h, channel, ramp(u * lanes + SIDE, lanes)]
                T.buffer_store(y, inside(value, u * lanes, width, vectors), place)
    return builder.get()


def pool(operation: Pool, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the function of ``operation``; before the rows it is told the number of the first and how many there are.
    What lies beyond the picture is less than everything.
    """
    names = ("first", "whole", "rows", "tiles", "width")
    first, whole, rows, tiles, width = (tirx.Var(name, "int64") for name in names)
    source, target, lanes = operation.source, operation.target, vectors.lanes
    down, across = operation.stride
    least = vectors.all(-math.inf)
    with IRBuilder() as builder, function("pool"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, rows + operation.reach[0], tiles), vectors.dtype))
        declare(first, whole, rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows, tiles), vectors.dtype))
        with T.grid(rows, target.count, tiles * (geometry.columns // lanes)) as (h, c, u):
            found = []
            for i, j in itertools.product(*map(range, operation.kernel)):
                row, column = tap(operation, h, u * lanes, i, j)
                channel = source.start + c * (down * across) + phase(operation, i, j)
                line = (first + h) * down + (i * operation.dilation[0] - operation.pads[0])
                place = (u * lanes) * across + (j * operation.dilation[1] - operation.pads[1])
                known = tirx.Broadcast(tirx.all(line >= 0, line < whole * down), lanes)
                known = tirx.And(known, within(place, width * across, lanes, across))
                found.append(tirx.Select(known, x.vload([row, channel, column], vectors.type), least))
            largest = reduce(lambda one, other: T.bind(tirx.max(one, other)), found)
            T.buffer_store(
                y, inside(largest, u * lanes, width, vectors), [h, target.start + c, ramp(u * lanes + SIDE, lanes)]
            )
    return builder.get()


def pool_rows(operation: FloatGlobalPool, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the first function of the pooling of a whole picture: ``(x, height, tiles, width, rows (height,
    channels))``, rows in parallel. Sums of a row are the same however many threads there are.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, lanes, start = operation.source, vectors.lanes, 0.0 if operation.average else -math.inf
    with IRBuilder() as builder, function("pool_rows"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), vectors.dtype))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer((height, source.count), "float32"))
        with T.parallel(0, height) as h, T.serial(0, source.count) as c:
            found = T.alloc_buffer((lanes,), "float32", scope="local")
            everything, kind = ramp(0, lanes), f"float32x{lanes}"
            T.buffer_store(found, tirx.Broadcast(tirx.const(start, "float32"), lanes), [everything])
            with T.serial(0, tiles * (geometry.columns // lanes)) as u:
                given = x.vload([h + geometry.margin, source.start + c, u * lanes + SIDE], vectors.type)
                value = tirx.Cast(kind, given)
                if operation.average:
                    value = found.vload([0], kind) + value  # zeros beyond the width
                else:
                    known = within(u * lanes, width, lanes, 1)
                    value = tirx.Select(known, tirx.max(found.vload([0], kind), value), found.vload([0], kind))
                T.buffer_store(found, value, [everything])
            numbers = [found[lane] for lane in range(lanes)]
            while len(numbers) > 1:
                pairs = zip(numbers[0::2], numbers[1::2], strict=True)
                numbers = [T.bind(a + b if operation.average else tirx.max(a, b)) for a, b in pairs]
            T.buffer_store(y, numbers[0], [h, c])
    return builder.get()


def pool_all(operation: FloatGlobalPool, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the second function: ``(rows (height, channels), height, tiles, width, y)`` of the whole picture; rows are
    added up in float64.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, target = operation.source, operation.target
    shape = geometry.shape(target.total, 1, 1)
    with IRBuilder() as builder, function("pool_all"):
        x = T.arg("x", T.Buffer((height, source.count), "float32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(shape, vectors.dtype))
        with T.grid(shape[0], target.count, shape[2]) as (i, b, v):
            T.buffer_store(y, tirx.const(0.0, vectors.dtype), [i, target.start + b, v])
        with T.serial(0, target.count) as c:
            found = T.alloc_buffer((1,), "float64", scope="local")
            T.buffer_store(found, tirx.Cast("float64", x[0, c]), [0])
            with T.serial(0, height - int64(1)) as row:
                value = tirx.Cast("float64", x[row + 1, c])
                T.buffer_store(found, found[0] + value if operation.average else tirx.max(found[0], value), [0])
            total = found[0] / tirx.Cast("float64", height * width) if operation.average else found[0]
            T.buffer_store(y, tirx.Cast(vectors.dtype, total), [geometry.margin, target.start + c, SIDE])
    return builder.get()
