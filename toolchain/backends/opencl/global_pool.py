"""Pooling of the whole picture on OpenCL devices, in two kernels: partial sums of the picture, and the tensor of a
single pixel that is made of them.

A work-item of the first adds up every `COLUMNS`-th pixel of every `ROWS`-th row of a block's four channels, so that
neighbours read neighbouring words. Of codes of 16 bits, the sums of high and of low bytes are kept apart: 32 bits hold
those of 2**24 pixels. Sums are exact, in whatever order they are added.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.primitives import (
    Size,
    bind,
    call,
    code_of,
    item,
    number,
    private,
    real,
    store_codes,
    threads,
)
from toolchain.kernels.function import function, int64
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import GlobalPool

COLUMNS, ROWS = 2 * SIDE, 8
"""Parts of the picture: a row of a tensor of a single pixel has at least so many words."""

Group = tuple[int, int, int]


def parts_blocks(operation: GlobalPool) -> int:
    """Return blocks of the buffer of partial sums, which is laid out as a tensor of a single pixel: a word for every
    column of parts, blocks for channels, rows of parts, and bytes of a code.
    """
    return operation.source.count * ROWS * _numbers(operation)


def _numbers(operation: GlobalPool) -> int:
    """Return the numbers of a part of a block's four channels."""
    return PACK * (operation.source.bytes if operation.average else 1)


def partial(operation: GlobalPool, geometry: Geometry, group: Group) -> tirx.PrimFunc:
    """Write the first kernel: arguments x, y."""
    source, size = operation.source, Size()
    planes = [first for first, _ in source.planes(0)]
    count = _numbers(operation)
    with IRBuilder() as builder, function("partial"):
        x = size.operand("x", source.total, geometry, None)
        size.declare()
        y = size.operand("y", parts_blocks(operation), geometry, None, 0)
        with threads((COLUMNS, ROWS, source.count), group):
            column, row, block = item("column", 0, 1), item("row", 1, 1), item("block", 2, 1)
            with T.If(tirx.all(column < COLUMNS, row < ROWS, block < source.count)), T.Then():
                found = private("found", count, "uint32")
                for index in range(count):
                    T.buffer_store(found, tirx.const(0, "uint32"), [index])
                rows, columns = (
                    (size.height - row + (ROWS - 1)) // ROWS,
                    (size.width - column + (COLUMNS - 1)) // COLUMNS,
                )
                with T.grid(rows, columns) as (i, j):
                    place = [row + i * ROWS + geometry.margin, column + j * COLUMNS + SIDE]
                    words = [bind("word", x[place[0], first + block, place[1]]) for first in planes]
                    for index, new in enumerate(_parts(words, operation)):
                        old = found[index]
                        known = old + new if operation.average else call("uint32", "max", old, new)
                        T.buffer_store(found, known, [index])
                for index in range(count):
                    T.buffer_store(y, found[index], [0, (block * ROWS + row) * count + index, column])
    return builder.get()


def _parts(words: list[Any], operation: GlobalPool) -> list[Any]:
    """Return what a pixel adds: the bytes of its words, or whole codes where the largest is looked for."""
    if operation.average:
        return [code_of([word], number(position)) for word in words for position in range(PACK)]
    return [code_of(words, number(position)) for position in range(PACK)]


def finish(operation: GlobalPool, geometry: Geometry, group: Group) -> tirx.PrimFunc:
    """Write the second kernel: arguments x, y; its size is that of the picture."""
    target, size = operation.target, Size()
    count = _numbers(operation)
    requantize = operation.requantize
    bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]
    with IRBuilder() as builder, function("finish"):
        x = size.operand("x", parts_blocks(operation), geometry, None, 0)
        size.declare()
        y = size.operand("y", target.total, geometry, None, 0)
        with threads((1, 1, target.count), group):
            column, row, block = item("column", 0, 1), item("row", 1, 1), item("block", 2, 1)
            with T.If(tirx.all(column < 1, row < 1, block < target.count)), T.Then():
                found = private("found", PACK, "int64")
                for index in range(PACK):
                    T.buffer_store(found, int64(0), [index])
                with T.grid(ROWS, COLUMNS) as (i, j):
                    for index in range(PACK):
                        parts = [
                            tirx.Cast("int64", x[0, (block * ROWS + i) * count + plane * PACK + index, j])
                            for plane in range(count // PACK)
                        ]
                        value = parts[0] if len(parts) == 1 else parts[0] * int64(256) + parts[1]
                        old = found[index]
                        T.buffer_store(found, old + value if operation.average else tirx.max(old, value), [index])
                pixels = bind("pixels", tirx.Cast("int64", size.height) * tirx.Cast("int64", size.width))
                codes = []
                for index in range(PACK):
                    value = _real(found[index], operation, pixels)
                    codes.append([call("uint32", "requantize", value, *bounds)])
                place = (number(geometry.margin), block, number(0))
                store_codes(y, codes, target, requantize.zero_point, place, size)
    return builder.get()


def _real(found: Any, operation: GlobalPool, count: Any) -> Any:
    """Return the channel's number in steps of the output, of its sum or its largest code."""
    shift = int64(2**operation.shift)
    fixed = found * shift
    if operation.average:
        fixed = tirx.truncdiv(fixed + tirx.truncdiv(count, int64(2)), count)
    centred = tirx.Cast("int32", fixed - int64(operation.zero_point * 2**operation.shift))
    return call("float32", "convert_float", centred) * real(operation.multiplier)
