"""Pooling of floats for OpenCL: the largest of every window, and the whole picture, by two kernels as
`toolchain.backends.opencl.global_pool` does it for codes.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.global_pool import COLUMNS, ROWS, Group
from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import Size, call, item, load, private, real, store, store_floats, threads
from toolchain.kernels.arguments import phase, tap
from toolchain.kernels.float_spec import FloatGlobalPool
from toolchain.kernels.function import function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.phases import Pool


def pool(operation: Pool, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Keep the largest number of every window: arguments x, y. What lies beyond the picture is less than everything."""
    source, target, pixels = operation.source, operation.target, config.pixels
    down, across = operation.stride

    def body(at: Item) -> None:
        found = private("found", pixels, "float32")
        with T.serial(0, target.count) as channel:
            IRBuilder.name("channel", channel)
            for p in range(pixels):
                T.buffer_store(found, _least(), [p])
            with T.grid(*operation.kernel) as (i, j):
                row, column = tap(operation, at.inner - operation.above[0], at.column, i, j)
                read = [row, source.start + channel * (down * across) + phase(operation, i, j), column]
                line = at.row * down + (i * operation.dilation[0] - operation.pads[0])
                for p, value in enumerate(load("value", at.inputs[0], read, pixels)):
                    position = (at.column + p) * across + (j * operation.dilation[1] - operation.pads[1])
                    known = tirx.all(
                        line >= 0, line < at.size.height * down, position >= 0, position < at.size.width * across
                    )
                    larger = call("float32", "fmax", found[p], value)
                    kept = call("float32", "select", found[p], larger, tirx.Cast("int32", known))
                    T.buffer_store(found, kept, [p])
            place = (at.inner, target.start + channel, at.column)
            store_floats(at.y, [found[p] for p in range(pixels)], place, at.size)

    return pixelwise([Form(source.total, dtype=dtype)], Form(target.total, dtype=dtype), config, body)


def parts_blocks(operation: FloatGlobalPool) -> int:
    """Return blocks of the buffer of partial results, which is laid out as a tensor of a single pixel: a number for
    every column of parts, blocks for channels and rows of parts.
    """
    return operation.source.count * ROWS


def partial(operation: FloatGlobalPool, dtype: str, geometry: Geometry, group: Group) -> tirx.PrimFunc:
    """Write the first kernel: arguments x, y. Sums of a row are added up one by one: fewer digits are lost."""
    source, size, start = operation.source, Size(), real(0.0) if operation.average else _least()
    with IRBuilder() as builder, function("partial"):
        x = size.operand("x", source.total, geometry, None, dtype=dtype)
        size.declare()
        y = size.operand("y", parts_blocks(operation), geometry, None, 0, dtype="float32")
        with threads((COLUMNS, ROWS, source.count), group):
            column, row, channel = item("column", 0, 1), item("row", 1, 1), item("channel", 2, 1)
            with T.If(tirx.all(column < COLUMNS, row < ROWS, channel < source.count)), T.Then():
                found, line = private("found", 1, "float32"), private("line", 1, "float32")
                T.buffer_store(found, start, [0])
                with T.serial(0, (size.height - row + (ROWS - 1)) // ROWS) as i:
                    T.buffer_store(line, start, [0])
                    with T.serial(0, (size.width - column + (COLUMNS - 1)) // COLUMNS) as j:
                        place = [row + i * ROWS + geometry.margin, source.start + channel, column + j * COLUMNS + SIDE]
                        (value,) = load("value", x, place, 1)
                        T.buffer_store(line, _joined(operation, line[0], value), [0])
                    T.buffer_store(found, _joined(operation, found[0], line[0]), [0])
                T.buffer_store(y, found[0], [0, channel * ROWS + row, column])
    return builder.get()


def finish(operation: FloatGlobalPool, dtype: str, geometry: Geometry, group: Group) -> tirx.PrimFunc:
    """Write the second kernel: arguments x, y; its size is that of the picture."""
    target, size, start = operation.target, Size(), real(0.0) if operation.average else _least()
    with IRBuilder() as builder, function("finish"):
        x = size.operand("x", parts_blocks(operation), geometry, None, 0, dtype="float32")
        size.declare()
        y = size.operand("y", target.total, geometry, None, 0, dtype=dtype)
        with threads((1, 1, target.count), group):
            column, row, channel = item("column", 0, 1), item("row", 1, 1), item("channel", 2, 1)
            with T.If(tirx.all(column < 1, row < 1, channel < target.count)), T.Then():
                found = private("found", 1, "float32")
                T.buffer_store(found, start, [0])
                with T.grid(ROWS, COLUMNS) as (i, j):
                    T.buffer_store(found, _joined(operation, found[0], x[0, channel * ROWS + i, j]), [0])
                total: Any = found[0]
                if operation.average:
                    total = total / (tirx.Cast("float32", size.height) * tirx.Cast("float32", size.width))
                store(y, [geometry.margin, target.start + channel, SIDE], [total])
    return builder.get()


def _joined(operation: FloatGlobalPool, one: Any, other: Any) -> Any:
    return one + other if operation.average else call("float32", "fmax", one, other)


def _least() -> Any:
    """Return what is less than every number."""
    return real(-math.inf)
