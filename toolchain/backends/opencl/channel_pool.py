"""The kernel for OpenCL of the smallest or largest of every pixel's numbers."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import call, code_of, load, number, private, real, store_codes
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.spec import ChannelPool


def pool(operation: ChannelPool, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Keep the extreme code of every pixel: arguments x, y."""
    given, target, requantize, pixels = operation.source, operation.target, operation.requantize, config.pixels
    bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]
    whole, rest = divmod(operation.channels, PACK)

    def body(at: Item) -> None:
        (x,), found = at.inputs, private("found", pixels, "uint32")

        def take(block: Any, count: int) -> None:
            """Compare the codes of some channels of a block with what was found."""
            planes = [
                load("word", x, [at.inner, first + block, at.column + SIDE], pixels) for first, _ in given.planes(0)
            ]
            for pixel, words in enumerate(zip(*planes, strict=True)):
                for position in range(count):
                    code = code_of(words, number(position))
                    T.buffer_store(found, call("uint32", operation.kind, found[pixel], code), [pixel])

        for pixel in range(pixels):
            T.buffer_store(found, tirx.const(given.qmax if operation.kind == "min" else 0, "uint32"), [pixel])
        if whole:
            with T.serial(0, whole) as block:
                take(block, PACK)
        if rest:
            take(number(whole), rest)
        zero = tirx.const(requantize.zero_point, "uint32")
        centred = [tirx.Cast("int32", found[p]) - number(operation.zero_point) for p in range(pixels)]
        reals = [tirx.Cast("float32", code) * real(operation.multiplier) for code in centred]
        codes = [call("uint32", "requantize", value, *bounds) for value in reals]
        rows = [codes, *[[zero] * pixels] * (PACK - 1)]
        store_codes(at.y, rows, target, requantize.zero_point, (at.inner, number(0), at.column), at.size)

    return pixelwise([Form(given.total)], Form(target.total), config, body)
