"""Kernels from packed tensors to a packed tensor, word by word: quantized sums, products and extremes, and the change
of scale.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import bend, code_at, dequantize, fence, flipped, outside_word, pack_codes, pack_words
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Combine, Elementwise, Operand


def build(operation: Elementwise, geometry: Geometry) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operands, slopes if any, rows, tiles, width, output."""
    requantize, target = operation.requantize, operation.target
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    columns = tiles * geometry.columns
    with IRBuilder() as builder, function("elementwise"):
        inputs = [
            T.arg(f"x{index}", T.Buffer(_window(operand, geometry, height, tiles), "uint32"))
            for index, operand in enumerate(operation.operands)
        ]
        slope = T.arg("slope", T.Buffer((target.count * PACK,), "float32")) if requantize.slopes else None
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        for block in range(target.count):
            with T.serial(0, height) as i, T.serial(0, columns) as j, T.sblock(f"block{block}"):
                h, v = T.axis.remap("SS", [i, j])
                values = []
                for position in range(PACK):
                    channel = block * PACK + position
                    terms = [
                        _term(x, operand, h, channel, v, geometry.offset)
                        for x, operand in zip(inputs, operation.operands, strict=True)
                    ]
                    value = terms[0] if len(terms) == 1 else _COMBINED[operation.combine](*map(fence, terms))
                    if slope is not None:
                        value = bend(fence(value), slope[channel])
                    values.append(value)
                inside = tirx.Cast("int32", v) < tirx.Cast("int32", width)
                packed = pack_words(values, requantize, target, pack_codes)
                for (start, zero), words in zip(target.planes(requantize.zero_point), packed, strict=True):
                    outside = outside_word(zero, geometry.offset)
                    T.buffer_store(
                        y, tirx.Select(inside, flipped(words, geometry.offset), outside), [h, start + block, v + SIDE]
                    )
    return builder.get()


def _term(x: Any, operand: Operand, h: Any, channel: int, v: Any, offset: int) -> Any:
    """float32(code - zero point) * multiplier of the operand's value for output ``channel``."""
    slot = channel // operand.divide % operand.modulo
    if operand.slots:
        slot = operand.slots[channel] if channel < len(operand.slots) else 0
    row, column = (0, SIDE) if operand.single else (h, v + SIDE)
    code = code_at(lambda block: flipped(x[row, block, column], offset), operand.view, slot // PACK, slot % PACK)
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
