"""Pooling of the whole picture on CPUs, in two functions: rows of a packed tensor to a number a channel, rows in
parallel, and those numbers to the codes of a packed tensor of a single pixel, with what surrounds it.

Sums are exact in whatever order; see `toolchain.reference.global_pool` for the arithmetic of the mean.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import (
    PLAIN,
    cast,
    code_at,
    flipped,
    outside_word,
    pack_words,
    real,
)
from toolchain.kernels.function import declare, function, int64
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import GlobalPool


def row_type(operation: GlobalPool) -> str:
    """Return the type of a row's number: of a channel, sum or largest code. 32 bits hold the sum of 2**24 bytes."""
    return "int64" if operation.source.wide else "uint32"


def pool_rows(operation: GlobalPool, geometry: Geometry) -> tirx.PrimFunc:
    """Return the first function: ``(x, height, tiles, width, rows (height, channels))``."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, kind = operation.source, row_type(operation)
    with IRBuilder() as builder, function("pool_rows"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer((height, source.count * PACK), kind))
        with T.parallel(0, height) as i, T.serial(0, source.count) as k, T.sblock("row"):
            h, block = T.axis.remap("SS", [i, k])
            row = h + geometry.margin
            T.reads(x[row, 0 : source.total, SIDE : SIDE + width])
            T.writes(y[h, block * PACK : block * PACK + PACK])
            found = T.alloc_buffer((PACK,), kind, scope="local")
            for position in range(PACK):
                T.buffer_store(found, tirx.const(0, kind), [position])
            with T.serial(0, width) as v:

                def read(b: Any, v: Any = v) -> Any:
                    return flipped(x[row, b, v + SIDE], geometry.offset)

                for position in range(PACK):
                    code, old = tirx.Cast(kind, code_at(read, source, block, position)), found[position]
                    T.buffer_store(found, old + code if operation.average else tirx.max(old, code), [position])
            for position in range(PACK):
                T.buffer_store(y, found[position], [h, block * PACK + position])
    return builder.get()


def pool_all(operation: GlobalPool, geometry: Geometry) -> tirx.PrimFunc:
    """Return the second function: ``(rows (height, channels), height, tiles, width, y)`` of the whole picture."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, target, requantize = operation.source, operation.target, operation.requantize
    planes = target.planes(requantize.zero_point)
    shape = geometry.shape(target.total, 1, 1)
    with IRBuilder() as builder, function("pool_all"):
        x = T.arg("x", T.Buffer((height, source.count * PACK), row_type(operation)))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(shape, "uint32"))
        for plane, (start, zero) in enumerate(planes):
            with T.grid(shape[0], target.count, shape[2]) as loops, T.sblock(f"outside{plane}"):
                i, b, v = T.axis.remap("SSS", loops)
                T.buffer_store(y, outside_word(zero, geometry.offset), [i, b + start, v])
        with T.serial(0, target.count) as k, T.sblock("pixel"):
            block = T.axis.spatial(target.count, k)
            T.reads(x[0:height, block * PACK : block * PACK + PACK])
            T.writes(y[geometry.margin, 0 : target.total, SIDE])
            found = T.alloc_buffer((PACK,), "int64", scope="local")
            for position in range(PACK):
                T.buffer_store(found, int64(0), [position])
            with T.serial(0, height) as row:
                for position in range(PACK):
                    value, old = tirx.Cast("int64", x[row, block * PACK + position]), found[position]
                    T.buffer_store(found, old + value if operation.average else tirx.max(old, value), [position])
            values = [_real(found[position], operation, height * width) for position in range(PACK)]
            packed = pack_words(values, requantize, target, PLAIN)
            for (start, _), words in zip(planes, packed, strict=True):
                T.buffer_store(y, flipped(words, geometry.offset), [geometry.margin, start + block, SIDE])
    return builder.get()


def _real(found: Any, operation: GlobalPool, count: Any) -> Any:
    """Return the channel's number in steps of the output, of its sum or its largest code."""
    shift = int64(2**operation.shift)
    fixed = tirx.truncdiv(found * shift + tirx.truncdiv(count, int64(2)), count) if operation.average else found * shift
    centred = cast("float32", fixed - int64(operation.zero_point * 2**operation.shift))
    return centred * real(operation.multiplier)
