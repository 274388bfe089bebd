"""The kernel for OpenCL that cuts a packed tensor or continues it at its borders, as `toolchain.kernels.window`."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import bind, call, choose, load, number, real, store, within, written
from toolchain.frontend.window import Mode
from toolchain.kernels.layout import SIDE
from toolchain.kernels.spec import Move


def move(operation: Move, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Return the kernel of ``operation`` on tensors of ``dtype``: arguments x, y. What surrounds the result is left as
    it was filled, but for the border.
    """
    source, target, made, border = operation.source, operation.target, written(), operation.border
    (top, left, *_), mode, margin = operation.window.pads, operation.window.mode, config.geometry.margin
    planes = list(zip(source.planes(0), target.planes(operation.fill), strict=True))

    def body(at: Item) -> None:
        size, x = at.size, at.inputs[0]
        for p in range(config.pixels):
            column = at.column + p
            with T.If(column < made.width + border), T.Then():
                row = bind("line", at.row - top)
                place = bind("place", column - left)
                inside = tirx.all(row >= 0, row < size.height, place >= 0, place < size.width)
                y, v = bind("line", _inside(row, size.height, mode)), bind("place", _inside(place, size.width, mode))
                for (read, _), (start, code) in planes:
                    with T.serial(0, target.count) as block:
                        IRBuilder.name("block", block)
                        (word,) = load("word", x, [y + margin, read + block, v + SIDE], 1)
                        if mode == "constant" and dtype == "uint32":
                            word = choose(inside, word, code * 0x01010101)
                        elif mode == "constant":
                            fill = real(operation.window.value)
                            word = call("float32", "select", fill, word, tirx.Cast("int32", inside))
                        store(at.y, [at.inner, start + block, column + SIDE], [word])

    result = Form(target.total, dtype=dtype, size=made)
    return pixelwise([Form(source.total, dtype=dtype)], result, config, body, border=border)


def _inside(place: Any, size: Any, mode: Mode) -> Any:
    """Return the row or column of the picture that stands at a place, which may lie outside."""
    if mode == "wrap":
        return tirx.floormod(place, size)
    if mode != "reflect":
        return within(place, size)
    period = tirx.max(2 * (size - 1), number(1))
    there = tirx.floormod(place, period)
    return tirx.Select(there < size, there, period - there)
