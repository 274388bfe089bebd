"""The kernel for OpenCL of normalization of floats over the channels of each pixel, three times over the channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Array, Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import bind, call, keep, load, private, real, store_floats
from toolchain.kernels.float_spec import FloatNormalization
from toolchain.kernels.layout import SIDE
from toolchain.kernels.normalization import FACTORS


def normalize(operation: FloatNormalization, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Normalize every pixel: arguments x, factors, y."""
    source, target, pixels = operation.source, operation.target, config.pixels

    def body(at: Item) -> None:
        sums = private("sums", pixels, "float32")

        def read(channel: Any) -> list[Any]:
            return load("value", at.inputs[0], [at.inner, source.start + channel, at.column + SIDE], pixels)

        def means(value: Callable[[Any, int], Any]) -> list[Any]:
            """Return the means over channels of what ``value`` makes of one's number and the pixel's place."""
            for p in range(pixels):
                T.buffer_store(sums, real(0.0), [p])
            with T.serial(0, target.count) as channel:
                IRBuilder.name("channel", channel)
                for p, number in enumerate(read(channel)):
                    T.buffer_store(sums, sums[p] + value(number, p), [p])
            return [keep("mean", sums[p] * real(1.0 / target.count), "float32") for p in range(pixels)]

        def squared(number: Any, p: int) -> Any:
            far = bind("far", number - middles[p])
            return far * far

        middles = means(lambda number, _: number)
        roots = [
            keep("root", call("float32", "rsqrt", variance + real(operation.epsilon)), "float32")
            for variance in means(squared)
        ]
        with T.serial(0, target.count) as channel:
            IRBuilder.name("channel", channel)
            gain, offset = (bind("factor", at.array[index, channel]) for index in (0, 1))
            values = [(number - middles[p]) * roots[p] * gain + offset for p, number in enumerate(read(channel))]
            store_floats(at.y, values, (at.inner, target.start + channel, at.column), at.size)

    factors = Array(FACTORS, (2, target.count))
    return pixelwise([Form(source.total, dtype=dtype)], Form(target.total, dtype=dtype), config, body, factors)
