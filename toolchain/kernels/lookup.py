"""The kernels that look codes up in a table, word by word: any function of a single code.

A table of 256 entries for all channels is looked up by shuffles of bytes, where there are such: each of 16 looks up the
low four bits of all bytes of a vector in its part of the table, and the high bits choose among them. Other tables are
read entry by entry.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.elementwise import within
from toolchain.kernels.epilogue import code_at, combine, flipped, outside_word, split
from toolchain.kernels.function import declare, function
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Addend, Lookup, View
from toolchain.reference.quantization import CodeArray


def lookup(table: CodeArray, source: Addend, zero_point: int, target: View) -> tuple[Lookup, CodeArray]:
    """Return the operation of a ``table`` (1 or channels, codes), and the part of it that it reads: without the ends
    over which it does not change, with rows for channels that are none.
    """
    first, last = 0, table.shape[1] - 1
    if source.view.wide:
        changes = np.flatnonzero((table[:, 1:] != table[:, :-1]).any(axis=0))
        first, last = (int(changes[0]), int(changes[-1]) + 1) if len(changes) else (0, 0)
    kept = table[:, first : last + 1]
    if len(table) > 1:
        kept = np.pad(kept, ((0, target.count * PACK - len(table)), (0, 0)), mode="edge")
    operation = Lookup(source, first, kept.shape[1], len(kept), zero_point, target)
    return operation, np.ascontiguousarray(kept)


def shuffled(operation: Lookup, dot: Dot) -> bool:
    """Return whether the table is looked up by shuffles."""
    given, target = operation.source, operation.target
    bytewise = not given.view.wide and not target.wide and (operation.rows, operation.entries) == (1, 256)
    return dot.shuffle is not None and bytewise and given.divide == 1 and given.modulo >= target.count * PACK


def laid(operation: Lookup, table: CodeArray, dot: Dot) -> CodeArray:
    """Return the table as the kernel takes it: for shuffles (16, 4 * lanes), 16 entries a row, for every 128 bits."""
    if not shuffled(operation, dot):
        return table
    return np.ascontiguousarray(np.tile(table.reshape(16, 16), (1, dot.lanes // PACK)))


def build(operation: Lookup, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operand, table, rows, tiles, width, output.

    Codes of 16 bits become places in the table first, a column tile of them: that is arithmetic on vectors, while
    looking up is not.
    """
    if shuffled(operation, dot):
        return _of_shuffles(operation, geometry, dot)
    given, target = operation.source, operation.target
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    with IRBuilder() as builder, function("lookup"):
        x = T.arg("x", T.Buffer(geometry.window(given.view.total, height, tiles), "uint32"))
        table = T.arg("table", T.Buffer((operation.rows, operation.entries), "uint16" if target.wide else "uint8"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        for block in range(target.count):
            with T.serial(0, height) as row, T.serial(0, tiles) as tile:
                first = tile * geometry.columns
                if given.view.wide:
                    places = T.alloc_buffer((PACK, geometry.columns), "uint16", scope="local")
                    with T.serial(0, geometry.columns) as column:
                        for position in range(PACK):
                            code = _code(x, operation, geometry, (row, block, position, first + column))
                            T.buffer_store(places, tirx.Cast("uint16", _place(code, operation)), [position, column])
                with T.serial(0, geometry.columns) as column:
                    codes = []
                    for position in range(PACK):
                        if given.view.wide:
                            place = tirx.Cast("int32", places[position, column])
                        else:
                            place = _code(x, operation, geometry, (row, block, position, first + column))
                        channel = block * PACK + position if operation.rows > 1 else 0
                        codes.append(tirx.Cast("int32", table[channel, place]))
                    words = split(codes) if target.wide else (combine(codes),)
                    inside = tirx.Cast("int32", first + column) < tirx.Cast("int32", width)
                    for (start, zero), word in zip(target.planes(operation.zero_point), words, strict=True):
                        kept = tirx.Select(inside, flipped(word, geometry.offset), outside_word(zero, geometry.offset))
                        T.buffer_store(y, kept, [row, start + block, first + column + SIDE])
    return builder.get()


def _of_shuffles(operation: Lookup, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    given, target, lanes = operation.source, operation.target, dot.lanes
    shuffle, number = dot.shuffle, PACK * dot.lanes
    assert shuffle is not None
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    with IRBuilder() as builder, function("lookup"):
        x = T.arg("x", T.Buffer(geometry.window(given.view.total, height, tiles), "uint32"))
        table = T.arg("table", T.Buffer((16, number), "uint8"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        vectors = tiles * (geometry.columns // lanes)
        with T.serial(0, height) as row, T.serial(0, target.count) as block, T.serial(0, vectors) as vector:
            first = T.bind(vector * lanes)
            loaded = x.vload([row, given.view.start + block, first + SIDE], f"uint32x{lanes}")
            words = T.bind(flipped(loaded, geometry.offset))
            low = T.bind(_as_bytes(words & _every(0x0F0F0F0F, lanes), number))
            none = tirx.Broadcast(tirx.const(0, "int8"), number)
            # The bits 4 to 7 as the top ones of their bytes: where they are set, the byte is negative.
            tops = [T.bind(_as_bytes(words << _every(left, lanes), number)) for left in (3, 2, 1, 0)]

            def entries(start: int, count: int) -> Any:
                """Return what codes become of which the high bits are ``start`` or one of those that follow."""
                if count == 1:
                    return T.bind(shuffle(_as_bytes(table.vload([start, 0], f"uint8x{number}"), number), low))
                half = count // 2
                below, above = entries(start, half), entries(start + half, half)
                return T.bind(tirx.Select(tops[half.bit_length() - 1] < none, above, below))

            found = tirx.reinterpret(f"uint32x{lanes}", entries(0, 16))
            outside = tirx.Broadcast(outside_word(operation.zero_point, geometry.offset), lanes)
            kept = tirx.Select(within(first, width, lanes), flipped(found, geometry.offset), outside)
            T.buffer_store(y, kept, [row, target.start + block, tirx.Ramp(first + SIDE, 1, lanes)])
    return builder.get()


def _as_bytes(words: Any, number: int) -> Any:
    return tirx.reinterpret(f"int8x{number}", words)


def _every(value: int, lanes: int) -> Any:
    return tirx.Broadcast(tirx.const(value, "uint32"), lanes)


def _code(x: Any, operation: Lookup, geometry: Geometry, at: tuple[Any, int, int, Any]) -> Any:
    """Return the int32 code that is looked up for a row, a block of the target, a position in it and a column."""
    given, (row, block, position, column) = operation.source, at
    slot = (block * PACK + position) // given.divide % given.modulo
    return code_at(
        lambda of: flipped(x[row, of, column + SIDE], geometry.offset), given.view, slot // PACK, slot % PACK
    )


def _place(code: Any, operation: Lookup) -> Any:
    """Return the table's entry for an int32 ``code``."""
    if operation.entries == operation.source.view.qmax + 1:
        return code
    first, last, none = (tirx.const(value, "int32") for value in (operation.first, operation.entries - 1, 0))
    return tirx.min(tirx.max(code - first, none), last)
