"""The kernel for OpenCL of normalization over the channels of each pixel.

Three times over the words of some neighbouring pixels: they are more than registers, and their loops shorter than code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Array, Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import bind, call, code_of, load, number, private, real, store_codes
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.normalization import FACTORS as FACTORS
from toolchain.kernels.spec import Normalization


def normalize(operation: Normalization, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Normalize every pixel: arguments x, factors, y."""
    given, target, requantize, pixels = operation.source, operation.target, operation.requantize, config.pixels
    bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]

    def body(at: Item) -> None:
        (x,), sums, squares = at.inputs, private("sums", pixels, "int32"), private("squares", pixels, "float32")

        def codes(block: Any, count: int = PACK) -> list[list[Any]]:
            """Return the int32 codes of channels of a block, of every pixel."""
            planes = [
                load("word", x, [at.inner, first + block, at.column + SIDE], pixels) for first, _ in given.planes(0)
            ]
            return [
                [tirx.Cast("int32", code_of(words, number(position))) for words in zip(*planes, strict=True)]
                for position in range(count)
            ]

        def centred(code: Any, pixel: int) -> Any:
            """Return as many times as there are channels how far a code is from their mean."""
            return bind("far", tirx.Cast("float32", code * number(operation.channels) - sums[pixel]))

        def summed(code: Any, pixel: int) -> None:
            T.buffer_store(sums, sums[pixel] + code, [pixel])

        def squared(code: Any, pixel: int) -> None:
            far = centred(code, pixel)
            T.buffer_store(squares, squares[pixel] + far * far, [pixel])

        for pixel in range(pixels):
            T.buffer_store(sums, number(0), [pixel])
            T.buffer_store(squares, real(0.0), [pixel])
        _each(operation, codes, summed)
        _each(operation, codes, squared)
        roots = [
            bind("root", call("float32", "inverse_root", squares[p] * real(operation.spread) + real(operation.epsilon)))
            for p in range(pixels)
        ]
        with T.serial(0, target.count) as block:
            results = []
            for position, channel in enumerate(codes(block)):
                gain, offset = (bind("factor", at.array[index, block * PACK + position]) for index in (0, 1))
                values = [centred(code, p) * roots[p] * gain + offset for p, code in enumerate(channel)]
                results.append([call("uint32", "requantize", value, *bounds) for value in values])
            store_codes(at.y, results, target, requantize.zero_point, (at.inner, block, at.column), at.size)

    factors = Array(FACTORS, (2, target.count * PACK))
    return pixelwise([Form(given.total)], Form(target.total), config, body, factors)


def _each(operation: Normalization, codes: Callable[..., list[list[Any]]], take: Callable[[Any, int], None]) -> None:
    """Let ``take`` have every channel's code of every pixel, one channel after the other."""
    whole, rest = divmod(operation.channels, PACK)

    def hand(block: Any, count: int) -> None:
        for channel in codes(block, count):
            for pixel, code in enumerate(channel):
                take(code, pixel)

    if whole:
        with T.serial(0, whole) as block:
            hand(block, PACK)
    if rest:
        hand(number(whole), rest)
