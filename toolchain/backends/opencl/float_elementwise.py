"""The other float kernels for OpenCL: sums and copies, depth-to-space, and the pictures where no convolution reads or
writes them.

One channel a block; float32 is computed with whatever ``dtype`` is stored.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.functions import apply
from toolchain.backends.opencl.pixelwise import SLOPES, Array, Form, Item, PixelwiseConfig, pixelwise, spread
from toolchain.backends.opencl.primitives import bind, call, load, real, store, store_floats
from toolchain.kernels.float_expressions import constants_of, followed
from toolchain.kernels.float_spec import FloatDraw, FloatPack, FloatShuffle, FloatSum
from toolchain.kernels.layout import SIDE
from toolchain.kernels.spec import Addend


def add(operation: FloatSum, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Sum one or two packed tensors, and do what follows: arguments `OPERANDS`, slopes, y."""
    target, stages, margin = operation.target, operation.stages, config.geometry.margin
    everything, terms, further = (*operation.operands, *operation.others), len(operation.operands), constants_of(stages)

    def body(at: Item) -> None:
        def read(x: Any, operand: Addend, channel: Any) -> list[Any]:
            slot = operand.view.start + tirx.floormod(tirx.floordiv(channel, operand.divide), operand.modulo)
            if operand.single:
                return load("value", x, [margin, slot, SIDE], 1) * config.pixels
            return load("value", x, [at.inner, slot, at.column + SIDE], config.pixels)

        with T.serial(0, target.count) as channel:
            IRBuilder.name("channel", channel)
            given = [read(x, operand, channel) for x, operand in zip(at.inputs, everything, strict=True)]
            constants = [bind("slope", at.array[index, channel]) for index in range(further)]
            values = []
            for first, *others in zip(*given, strict=True):
                total = first if terms == 1 else first + others[0]
                values.append(followed(total, stages, constants, others[terms - 1 :].__getitem__, apply))
            store_floats(at.y, values, (at.inner, target.start + channel, at.column), at.size)

    reads = [Form(operand.view.total, scale=0 if operand.single else 1, dtype=dtype) for operand in everything]
    array = Array(SLOPES, (further, target.count)) if further else None
    return pixelwise(reads, Form(target.total, dtype=dtype), config, body, array)


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


def shuffle(operation: FloatShuffle, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Make a packed tensor of a smaller one: arguments x, y. What surrounds the picture is left as it was filled."""
    source, target, picture = operation.source, operation.target, operation.pixels
    margin, scale = config.geometry.margin, picture.scale

    def body(at: Item) -> None:
        for slot, places in itertools.groupby(sorted(picture.places(), key=_SLOT), key=_SLOT):
            values = load("value", at.inputs[0], [at.inner, source.start + slot, at.column + SIDE], config.pixels)
            for (dy, dx, channel, _), p in itertools.product(places, range(config.pixels)):
                column = at.column + p
                with T.If(column < at.size.width), T.Then():
                    place = [at.row * scale + (margin + dy), target.start + channel, column * scale + (SIDE + dx)]
                    store(at.y, place, [values[p]])

    reads = [Form(source.total, dtype=dtype)]
    return pixelwise(reads, Form(target.total, scale=scale, dtype=dtype), config, body)


_SLOT = operator.itemgetter(3)
