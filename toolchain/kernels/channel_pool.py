"""The kernel of the smallest or largest of every pixel's numbers, on vectors of pixels: see
`toolchain.reference.channel_pool`.

Bytes of all blocks are compared first, four channels at once; then the four of a word.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import bordered, code_at, dequantize, flipped, pack_words, real, within
from toolchain.kernels.function import declare, function
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.packed_codes import code_vector, plane_words
from toolchain.kernels.spec import ChannelPool
from toolchain.kernels.view import View


def build(operation: ChannelPool, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operand, rows, tiles, width, output."""
    given, target, lanes, requantize = operation.source, operation.target, dot.lanes, operation.requantize
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    extreme = tirx.min if operation.kind == "min" else tirx.max
    with IRBuilder() as builder, function("channel_pool"):
        x = T.arg("x", T.Buffer(geometry.window(given.total, height, tiles), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        with T.serial(0, height) as row, T.serial(0, tiles * (geometry.columns // lanes)) as vector:
            first = T.bind(vector * lanes)

            def read(block: int) -> Any:
                return flipped(x.vload([row, block, first + SIDE], f"uint32x{lanes}"), geometry.offset)

            code = _extreme(operation, read, extreme, lanes)
            value = T.bind(dequantize(code, operation.zero_point, operation.multiplier))
            nothing = tirx.Broadcast(real(0.0), lanes)
            packed = pack_words([value, *[nothing] * (PACK - 1)], requantize, target, dot.pack)
            inside = within(first, width, lanes)
            for (start, zero), words in zip(target.planes(requantize.zero_point), packed, strict=True):
                shown = bordered(words, zero, inside, geometry.offset)
                T.buffer_store(y, shown, [row, start, tirx.Ramp(first + SIDE, 1, lanes)])
    return builder.get()


def _extreme(operation: ChannelPool, read: Callable[[int], Any], extreme: Callable[[Any, Any], Any], lanes: int) -> Any:
    """Return the int32 code of the extreme of every pixel of a vector; ``read``: words of a block."""
    given, (whole, rest) = operation.source, divmod(operation.channels, PACK)
    found = []
    if whole:
        blocks = [code_vector([read(start + block) for start, _ in given.planes(0)], lanes) for block in range(whole)]
        most = T.bind(reduce(lambda one, other: T.bind(extreme(one, other)), blocks))
        planes = [T.bind(plane) for plane in plane_words(most, lanes, wide=given.wide)]
        alone = View.whole(1, wide=given.wide)
        found += [code_at(planes.__getitem__, alone, 0, position) for position in range(PACK)]
    found += [code_at(read, given, whole, position) for position in range(rest)]
    return T.bind(reduce(lambda one, other: T.bind(extreme(one, other)), found))
