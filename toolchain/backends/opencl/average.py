"""Averages of windows that leave out what lies beyond the picture, for OpenCL, as `toolchain.kernels.average`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.enlarge import finished
from toolchain.backends.opencl.pixelwise import Array, Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import bind, code_of, keep, number, private, written
from toolchain.kernels.average import Average
from toolchain.kernels.layout import PACK, SIDE

FACTORS = "factors"
"""The name of the argument: float32 by the number of a window's pixels."""


def average(operation: Average, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Return the kernel of ``operation``: arguments x, factors, y. What surrounds the result stays as it was filled."""
    source, target, made, margin = operation.source, operation.target, written(), config.geometry.margin
    planes = [first for first, _ in source.planes(0)]

    def body(at: Item) -> None:
        def window(place: Any, side: Any, axis: int) -> tuple[Any, Any]:
            start = place * operation.strides[axis] - operation.before[axis]
            ends = tirx.max(start, number(0)), tirx.min(start + operation.kernel[axis], side)
            return keep("first", ends[0], "int32"), keep("behind", ends[1], "int32")

        above, below = window(at.row, at.size.height, 0)
        left, beyond = window(at.column, at.size.width, 1)
        factor = keep("factor", at.array[(below - above) * (beyond - left)], "float32")
        totals = private("totals", PACK, "int32")
        with T.serial(0, target.count) as block:
            IRBuilder.name("block", block)
            for position in range(PACK):
                T.buffer_store(totals, number(0), [position])
            with T.serial(0, below - above) as dy, T.serial(0, beyond - left) as dx:
                place = above + dy + margin, left + dx + SIDE
                words = [bind("word", at.inputs[0][place[0], first + block, place[1]]) for first in planes]
                for position in range(PACK):
                    code = tirx.Cast("int32", code_of(words, number(position)))
                    T.buffer_store(totals, totals[position] + (code - number(operation.zero_point)), [position])
            values = [tirx.Cast("float32", totals[position]) * factor for position in range(PACK)]
            finished(at, operation.requantize, target, values, (at.inner, block, at.column + SIDE))

    factors = Array(FACTORS, (operation.kernel[0] * operation.kernel[1] + 1,))
    return pixelwise([Form(source.total)], Form(target.total, size=made), replace(config, pixels=1), body, factors)
