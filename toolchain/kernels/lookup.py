"""The kernel that looks codes up in a table, word by word: any function of a single code."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import code_at, combine, flipped, outside_word, split
from toolchain.kernels.function import declare, function
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


def build(operation: Lookup, geometry: Geometry) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operand, table, rows, tiles, width, output.

    Codes of 16 bits become places in the table first, a column tile of them: that is arithmetic on vectors, while
    looking up is not.
    """
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
