"""Kernels from packed tensors to a packed tensor, word by word: quantized sums, products and extremes, and the change
of scale. Their vectors are written out: left to LLVM's vectorizer, some loops stay scalar.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import bend, bordered, code_at, dequantize, fence, flipped, pack_words, within
from toolchain.kernels.function import declare, function
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Combine, Elementwise, Operand


def build(operation: Elementwise, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operands, slopes if any, rows, tiles, width, output."""
    requantize, target, lanes = operation.requantize, operation.target, dot.lanes
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    vectors = tiles * (geometry.columns // lanes)
    with IRBuilder() as builder, function("elementwise"):
        inputs = [
            T.arg(f"x{index}", T.Buffer(_window(operand, geometry, height, tiles), "uint32"))
            for index, operand in enumerate(operation.operands)
        ]
        slope = T.arg("slope", T.Buffer((target.count * PACK,), "float32")) if requantize.slopes else None
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        with T.serial(0, height) as row, T.serial(0, vectors) as vector:
            first = T.bind(vector * lanes)
            inside = within(first, width, lanes)
            for block in range(target.count):
                values = []
                for position in range(PACK):
                    channel = block * PACK + position
                    terms = [
                        _term(x, operand, row, channel, first, geometry.offset, lanes)
                        for x, operand in zip(inputs, operation.operands, strict=True)
                    ]
                    value = terms[0] if len(terms) == 1 else _COMBINED[operation.combine](*map(fence, terms))
                    if slope is not None:
                        value = bend(fence(value), slope[channel])
                    values.append(value)
                packed = pack_words(values, requantize, target, dot.pack)
                for (start, zero), words in zip(target.planes(requantize.zero_point), packed, strict=True):
                    shown = bordered(words, zero, inside, geometry.offset)
                    T.buffer_store(y, shown, [row, start + block, tirx.Ramp(first + SIDE, 1, lanes)])
    return builder.get()


def _term(x: Any, operand: Operand, h: Any, channel: int, v: Any, offset: int, lanes: int) -> Any:
    """float32(code - zero point) * multiplier of the operand's value for output ``channel``."""
    slot = channel // operand.divide % operand.modulo
    if operand.slots:
        slot = operand.slots[channel] if channel < len(operand.slots) else 0

    def read(block: int) -> Any:
        if operand.single:
            return tirx.Broadcast(flipped(x[0, block, SIDE], offset), lanes)
        return T.bind(flipped(x.vload([h, block, v + SIDE], f"uint32x{lanes}"), offset))

    code = code_at(read, operand.view, slot // PACK, slot % PACK)
    return dequantize(code, operand.zero_point, operand.multiplier)


def _window(operand: Operand, geometry: Geometry, height: Any, tiles: Any) -> tuple[Any, Any, Any]:
    """Return the shape of an operand's rows."""
    return (
        geometry.window(operand.view.total, 1, 1)
        if operand.single
        else geometry.window(operand.view.total, height, tiles)
    )


_COMBINED: dict[Combine, Callable[[Any, Any], Any]] = {
    "sum": operator.add,
    "product": operator.mul,
    "min": tirx.min,
    "max": tirx.max,
}
