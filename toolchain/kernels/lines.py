"""What is done with rows of line buffers between kernels: functions that every segment of a network shares."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.function import declare, function
from toolchain.kernels.view import View

FILL, KEEP = "fill_rows", "keep_rows"


def call(name: str, dtype: str, *arguments: Any) -> None:
    """Call a function of lines of ``dtype``: `FILL` with rows (rows, blocks, pitch), the first block, the number of
    blocks and what every word of them becomes; `KEEP` with rows, the last of which become the first, and how many.
    """
    T.evaluate(tirx.call_intrin("int32", "tirx.tvm_call_cpacked", symbol(name, dtype), *arguments))


def symbol(name: str, dtype: str) -> str:
    """Return the global symbol of a function."""
    return f"{name}_{dtype}"


def functions(dtype: str) -> dict[str, tirx.PrimFunc]:
    """Return all of them, by their symbols."""
    found = {FILL: _fill(dtype), KEEP: _keep(dtype)}
    return {symbol(name, dtype): made.with_attr("global_symbol", symbol(name, dtype)) for name, made in found.items()}


def _fill(dtype: str) -> tirx.PrimFunc:
    rows, blocks, pitch, first, count, value = _sizes("rows", "blocks", "pitch", "first", "count", "value")
    with IRBuilder() as builder, function(FILL):
        y = T.arg("y", T.Buffer((rows, blocks, pitch), dtype))
        declare(first, count, value)
        with T.grid(rows, count, pitch) as (row, block, column):
            T.buffer_store(y, tirx.Cast(dtype, value), [row, first + block, column])
    return builder.get()


def _keep(dtype: str) -> tirx.PrimFunc:
    rows, blocks, pitch, count = _sizes("rows", "blocks", "pitch", "count")
    with IRBuilder() as builder, function(KEEP):
        y = T.arg("y", T.Buffer((rows, blocks, pitch), dtype))
        declare(count)
        with T.grid(count, blocks, pitch) as (row, block, column):
            T.buffer_store(y, y[row + (rows - count), block, column], [row, block, column])
    return builder.get()


def copy(view: View, dtype: str) -> tuple[str, tirx.PrimFunc]:
    """Return a kernel on rows that copies the blocks of ``view``, and its name."""
    height, tiles, width, pitch = _sizes("height", "tiles", "width", "pitch")
    with IRBuilder() as builder, function("copy"):
        x = T.arg("x", T.Buffer((height, view.total, pitch), dtype))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer((height, view.total, pitch), dtype))
        for start, _ in view.planes(0):
            with T.grid(height, view.count, pitch) as (row, block, column):
                T.buffer_store(y, x[row, start + block, column], [row, start + block, column])
    wide = "_wide" if view.wide else ""
    return f"copy_{view.start}_{view.count}_of_{view.total}{wide}_{dtype}", builder.get()


def _sizes(*names: str) -> list[Any]:
    return [tirx.Var(name, "int64") for name in names]
