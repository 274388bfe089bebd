"""The kernel of normalization over the channels of each pixel, on vectors of pixels.

Three times over the blocks of a vector: their sums, the squares of what codes differ from the mean by, and the result.
See `toolchain.reference.normalization` for the arithmetic, which is the same in every bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import bordered, cast, code_at, fence, flipped, pack_words, real, typed, within
from toolchain.kernels.function import declare, function
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Normalization
from toolchain.reference.normalization import GUESS, ROUNDS

FACTORS = "factors"
"""The name of the argument."""


def build(operation: Normalization, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: operand, factors (gains, then offsets), rows, tiles,
    width, output.
    """
    given, target, lanes, requantize = operation.source, operation.target, dot.lanes, operation.requantize
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    count = target.count * PACK
    with IRBuilder() as builder, function("normalize"):
        x = T.arg("x", T.Buffer(geometry.window(given.total, height, tiles), "uint32"))
        factors = T.arg(FACTORS, T.Buffer((2, count), "float32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        sums = T.alloc_buffer((lanes,), "int32", scope="local")
        total = T.alloc_buffer((lanes,), "float32", scope="local")
        every = tirx.Ramp(0, 1, lanes)
        with T.serial(0, height) as row, T.serial(0, tiles * (geometry.columns // lanes)) as vector:
            first = T.bind(vector * lanes)

            def codes(block: Any, number: int = PACK) -> list[Any]:
                """Return the int32 codes of the channels of a block."""

                def read(of: Any) -> Any:
                    return T.bind(flipped(x.vload([row, of, first + SIDE], f"uint32x{lanes}"), geometry.offset))

                return [code_at(read, given, block, position) for position in range(number)]

            def centred(code: Any) -> Any:
                """Return as many times as there are channels how far a code is from their mean."""
                return cast(
                    "float32", code * tirx.const(operation.channels, "int32") - sums.vload([0], f"int32x{lanes}")
                )

            def summed(code: Any) -> None:
                T.buffer_store(sums, sums.vload([0], f"int32x{lanes}") + code, [every])

            def squared(code: Any) -> None:
                far = T.bind(centred(code))
                T.buffer_store(total, total.vload([0], f"float32x{lanes}") + fence(far * far), [every])

            T.buffer_store(sums, tirx.Broadcast(tirx.const(0, "int32"), lanes), [every])
            _each(operation, codes, summed)
            T.buffer_store(total, tirx.Broadcast(real(0.0), lanes), [every])
            _each(operation, codes, squared)
            root = T.bind(
                _inverse_root(fence(total.vload([0], f"float32x{lanes}") * real(operation.spread)), operation)
            )
            inside = within(first, width, lanes)
            with T.serial(0, target.count) as block:
                values = []
                for position, code in enumerate(codes(block)):
                    channel = block * PACK + position
                    values.append(fence(fence(centred(code) * root) * factors[0, channel]) + factors[1, channel])
                packed = pack_words(values, requantize, target, dot.pack)
                for (start, zero), words in zip(target.planes(requantize.zero_point), packed, strict=True):
                    shown = bordered(words, zero, inside, geometry.offset)
                    T.buffer_store(y, shown, [row, start + block, tirx.Ramp(first + SIDE, 1, lanes)])
    return builder.get()


def _each(operation: Normalization, codes: Callable[..., list[Any]], take: Callable[[Any], None]) -> None:
    """Let ``take`` have the codes of every channel, one after the other."""
    whole, rest = divmod(operation.channels, PACK)
    if whole:
        with T.serial(0, whole) as block:
            for code in codes(block):
                take(code)
    if rest:
        for code in codes(whole, rest):
            take(code)


def _inverse_root(variance: Any, operation: Normalization) -> Any:
    """Return about 1 / sqrt(``variance`` + epsilon), as `toolchain.reference.normalization.inverse_root`."""
    value = T.bind(variance + real(operation.epsilon))
    half = T.bind(value * real(0.5))
    bits = tirx.const(GUESS, "int32") - (tirx.reinterpret(typed("int32", value), value) >> tirx.const(1, "int32"))
    root = T.bind(tirx.reinterpret(typed("float32", value), bits))
    for _ in range(ROUNDS):
        root = T.bind(root * (real(1.5) - fence(half * root * root)))
    return root
