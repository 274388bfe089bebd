"""The kernels that look codes up in a table, word by word: any function of a single code.

A table of 256 bytes for all channels is looked up by an instruction set's shuffles, where it has some
(`toolchain.kernels.intrinsics.byte_table`). So is a function from 16 bits to 8 that takes few steps while the low byte
grows: what the high byte alone makes of it is one table, and the low bytes at which it steps up or down are one each;
every step that is passed counts. Other tables are read entry by entry.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import bordered, code_at, combine, flipped, split, within
from toolchain.kernels.function import declare, function
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Addend, Lookup, View
from toolchain.reference.quantization import CodeArray

IntArray = npt.NDArray[np.int64]


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
    steps = None
    if source.view.wide and not target.wide and len(table) == 1:
        steps = int(_steps(table, 1).sum(axis=1).max()), int(_steps(table, -1).sum(axis=1).max())
    operation = Lookup(source, first, kept.shape[1], len(kept), zero_point, target, steps)
    return operation, np.ascontiguousarray(kept)


def _steps(table: CodeArray, sign: int) -> IntArray:
    """Return by how much a table (1, 65536) grows, times ``sign``, before each code, (256, 255); 0 where it falls."""
    blocks = table.reshape(256, 256).astype(np.int64)
    grown: IntArray = np.maximum(sign * np.diff(blocks, axis=1), 0)
    return grown


def bytewise(operation: Lookup, dot: Dot) -> int:
    """Return how many tables of bytes the function is looked up in; 0: it is read from memory."""
    given, target = operation.source, operation.target
    alike = given.divide == 1 and given.modulo >= target.count * PACK
    if dot.table is None or not alike or target.wide or operation.rows > 1:
        return 0
    if not given.view.wide:
        return int(operation.entries == 256)
    tables = 1 + sum(operation.steps or ())
    return tables if operation.steps is not None and tables <= dot.table.most else 0


def laid(operation: Lookup, table: CodeArray, dot: Dot) -> CodeArray:
    """Return the table as the kernel takes it: where it is looked up bytewise, (tables, rows, bytes of a row)."""
    if not bytewise(operation, dot):
        return table
    assert dot.table is not None
    if not operation.source.view.wide:
        return dot.table.laid(table[0])[None]
    places = np.clip(np.arange(65536) - operation.first, 0, operation.entries - 1)
    whole = table[:, places]
    tables = [np.ascontiguousarray(whole.reshape(256, 256)[:, 0])]
    for sign, count in zip((1, -1), operation.steps or (), strict=True):
        # The low byte before each step, the smallest first, and 255, which none exceeds, where there is none.
        grown = _steps(whole, sign)
        before = [np.repeat(np.arange(255), row)[:count] for row in grown]
        filled = np.stack([np.pad(row, (0, count - len(row)), constant_values=255) for row in before])
        tables += list(filled.T.astype(np.uint8))
    return np.stack([dot.table.laid(one) for one in tables])


def build(operation: Lookup, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operand, table, rows, tiles, width, output.

    Codes of 16 bits become places in the table first, a column tile of them: that is arithmetic on vectors, while
    looking up is not.
    """
    if bytewise(operation, dot):
        return _of_bytes(operation, geometry, dot)
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
                        kept = bordered(word, zero, inside, geometry.offset)
                        T.buffer_store(y, kept, [row, start + block, first + column + SIDE])
    return builder.get()


def _of_bytes(operation: Lookup, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    given, target, lanes, table = operation.source, operation.target, dot.lanes, dot.table
    assert table is not None
    number, count = PACK * lanes, bytewise(operation, dot)
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    with IRBuilder() as builder, function("lookup"):
        x = T.arg("x", T.Buffer(geometry.window(given.view.total, height, tiles), "uint32"))
        tables = T.arg("table", T.Buffer((count, table.rows, table.width), "uint8"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        vectors = tiles * (geometry.columns // lanes)
        with T.serial(0, height) as row, T.serial(0, target.count) as block, T.serial(0, vectors) as vector:
            first = T.bind(vector * lanes)

            def codes(start: int) -> Any:
                loaded = x.vload([row, start + block, first + SIDE], f"uint32x{lanes}")
                return T.bind(tirx.reinterpret(f"uint8x{number}", flipped(loaded, geometry.offset)))

            def looked_up(one: int, codes: Any) -> Any:
                found = table.find(lambda r: tables.vload([one, r, 0], f"uint8x{table.width}"), codes)
                return T.bind(tirx.reinterpret(f"uint8x{number}", found))

            high, *low = (codes(start) for start, _ in given.view.planes(0))
            found = looked_up(0, high)
            one = tirx.Broadcast(tirx.const(1, "uint8"), number)
            for step in range(1, count):
                up = step <= (operation.steps or (0, 0))[0]
                passed = looked_up(step, high) < low[0]
                found = T.bind(tirx.Select(passed, found + one if up else found - one, found))
            words = tirx.reinterpret(f"uint32x{lanes}", found)
            kept = bordered(words, operation.zero_point, within(first, width, lanes), geometry.offset)
            T.buffer_store(y, kept, [row, target.start + block, tirx.Ramp(first + SIDE, 1, lanes)])
    return builder.get()


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
