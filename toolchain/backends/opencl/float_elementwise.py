"""The other float kernels for OpenCL: sums and copies, and the pictures where no convolution reads or writes them.

One channel a block; float32 is computed with whatever ``dtype`` is stored.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, count_slopes, pixelwise, spread, summed
from toolchain.backends.opencl.primitives import call, load, real, store_floats
from toolchain.kernels.float_spec import FloatDraw, FloatPack, FloatSum
from toolchain.kernels.layout import SIDE


def add(operation: FloatSum, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Sum one or two packed tensors, and do what follows: arguments x, r, slopes, y."""
    target, stages = operation.target, operation.stages

    def body(at: Item) -> None:
        for channel in range(target.count):
            terms = []
            for x, operand in zip(at.inputs, operation.operands, strict=True):
                slot = operand.view.start + channel // operand.divide % operand.modulo
                terms.append(load("value", x, [at.inner, slot, at.column + SIDE], config.pixels))
            values = summed(terms, stages, at, channel)
            store_floats(at.y, values, (at.inner, target.start + channel, at.column), at.size)

    reads = [Form(operand.view.total, dtype=dtype) for operand in operation.operands]
    return pixelwise(reads, Form(target.total, dtype=dtype), config, body, count_slopes(stages, target.count))


def pack(operation: FloatPack, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Make packed floats of the picture: arguments x, y."""
    target = operation.target

    def body(at: Item) -> None:
        for channel in range(target.count):
            values = []
            for column in (at.column + p for p in range(config.pixels)):
                code = at.inputs[0][at.row, tirx.min(column, at.size.width - 1), channel]
                known = tirx.Cast("int32", column < at.size.width)
                values.append(call("float32", "pixel", code, known, real(operation.step)))
            store_floats(at.y, values, (at.inner, target.start + channel, at.column), at.size)

    return pixelwise([Form(channels=target.count)], Form(target.total, dtype=dtype), config, body)


def draw(operation: FloatDraw, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Draw the picture from packed floats, depth-to-space included: arguments x, y."""
    source, picture = operation.source, operation.pixels

    def body(at: Item) -> None:
        values = {
            slot: load("value", at.inputs[0], [at.inner, source.start + slot, at.column + SIDE], config.pixels)
            for slot in sorted(set(picture.table))
        }

        def code(slot: int, p: int) -> Any:
            return call("uint8", "convert_uchar_sat_rte", values[slot][p] * real(operation.gain))

        spread(picture, at, config.pixels, code)

    reads = [Form(source.total, dtype=dtype)]
    return pixelwise(reads, Form(channels=picture.channels, scale=picture.scale), config, body)
