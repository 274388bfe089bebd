"""Rounding and packing by x86's own instructions: the saturation of ``packssdw`` and ``packuswb`` is the clamp.

Four vectors of sums become one vector of words by three packs and one byte shuffle, where clamping, masking and
shifting takes four times as many instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import Packing, real
from toolchain.kernels.spec import Requantize


@dataclass(frozen=True)
class Instructions:
    """What packing needs of vectors of ``lanes`` 32-bit numbers; functions of TVM expressions.

    Attributes:
        lanes: numbers in a vector.
        round: float32 (lanes,) to int32, half to even; beyond int32's range to its smallest number.
        narrow: two int32 (lanes,) to one int16 (2 * lanes,), saturated, in every 128 bits for themselves.
        saturate: two int16 (2 * lanes,) to one uint8 (4 * lanes,), saturated, likewise.
        halves: two int32 (lanes,) to one uint16 (2 * lanes,), as int16, saturated, likewise.
        shuffle: bytes int8 (4 * lanes,) in the order of indices int8 (4 * lanes,), within every 128 bits.
    """

    lanes: int
    round: Callable[[Any], Any]
    narrow: Callable[[Any, Any], Any]
    saturate: Callable[[Any, Any], Any]
    halves: Callable[[Any, Any], Any]
    shuffle: Callable[[Any, Any], Any]


def named(lanes: int, convert: str, narrow: str, saturate: str, halves: str, shuffle: str, *rest: Any) -> Instructions:
    """Instructions by their names in LLVM; ``rest``: what the conversion takes beyond the numbers."""

    def call(kind: str, count: int, name: str, *rest: Any) -> Callable[..., Any]:
        return lambda *vectors: tirx.call_llvm_pure_intrin(f"{kind}x{count}", name, *vectors, *rest)

    return Instructions(
        lanes,
        call("int32", lanes, convert, *rest),
        call("int16", 2 * lanes, narrow),
        call("int8", 4 * lanes, saturate),
        call("int16", 2 * lanes, halves),
        call("int8", 4 * lanes, shuffle),
    )


# The conversion's rest: what masked numbers would become, no mask, and the rounding mode in force: half to even.
AVX512 = named(
    16,
    "llvm.x86.avx512.mask.cvtps2dq.512",
    "llvm.x86.avx512.packssdw.512",
    "llvm.x86.avx512.packuswb.512",
    "llvm.x86.avx512.packusdw.512",
    "llvm.x86.avx512.pshuf.b.512",
    tirx.Broadcast(tirx.const(0, "int32"), 16),
    tirx.const(-1, "int16"),
    tirx.const(4, "int32"),
)
AVX2 = named(
    8,
    "llvm.x86.avx.cvt.ps2dq.256",
    "llvm.x86.avx2.packssdw",
    "llvm.x86.avx2.packuswb",
    "llvm.x86.avx2.packusdw",
    "llvm.x86.avx2.pshuf.b",
)
SSE4 = named(
    4,
    "llvm.x86.sse2.cvtps2dq",
    "llvm.x86.sse2.packssdw.128",
    "llvm.x86.sse2.packuswb.128",
    "llvm.x86.sse41.packusdw",
    "llvm.x86.ssse3.pshuf.b.128",
)


def packer(instructions: Instructions) -> Packing:
    """Return the `toolchain.kernels.intrinsics.dot.Dot.pack` of these instructions."""
    lanes = instructions.lanes

    def rounded(value: Any, requantize: Requantize, most: int) -> Any:
        zero = requantize.zero_point
        if requantize.low > -zero:
            value = tirx.max(value, real(requantize.low))
        # Beyond int32 the conversion gives its smallest number: below, that saturates rightly; above, it must not be.
        if requantize.high < most - zero or not requantize.fits:
            value = tirx.min(value, real(requantize.high))
        code = instructions.round(value)
        return code + tirx.const(zero, "int32") if zero else code

    def pack(values: list[Any], requantize: Requantize) -> Any:
        codes = [rounded(value, requantize, 255) for value in values]
        halves = [instructions.narrow(*codes[i : i + 2]) for i in (0, 2)]
        # Every 128-bit part now holds four pixels of the first channel, four of the second, ...: byte 4*c + p goes to
        # 4*p + c.
        grouped = instructions.saturate(*halves)
        index = tirx.Ramp(tirx.const(0, "int32"), tirx.const(1, "int32"), lanes) & tirx.const(3, "int32")
        order = index * tirx.const(0x01010101, "int32") + tirx.const(0x0C080400, "int32")
        words = instructions.shuffle(grouped, tirx.reinterpret(f"int8x{4 * lanes}", order))
        return tirx.reinterpret(f"uint32x{lanes}", words)

    def pack_halves(values: list[Any], requantize: Requantize) -> tuple[Any, Any]:
        codes = [rounded(value, requantize, 65535) for value in values]
        # Every 128-bit part holds four pixels of one channel and four of the next. Their low bytes go to its first half
        # and the high ones to the other, those of a pixel side by side: byte 8*c + 2*p goes to 2*p + c.
        index = tirx.Ramp(tirx.const(0, "int32"), tirx.const(1, "int32"), lanes)
        one = tirx.const(1, "int32")
        odd, upper = index & one, (index >> one) & one
        order = odd * _spread(0x04040404) + upper * _spread(0x01010101) + _spread(0x0A020800)
        pairs = []
        for first in (0, 2):
            both = tirx.reinterpret(f"int8x{4 * lanes}", instructions.halves(*codes[first : first + 2]))
            sorted_ = instructions.shuffle(both, tirx.reinterpret(f"int8x{4 * lanes}", order))
            pairs.append(T.bind(tirx.reinterpret(f"int16x{2 * lanes}", sorted_)))

        def words(half: int) -> Any:
            """Return the words of half of every part: two bytes of a pixel from each pair, in turn."""
            places = [
                part + 4 * half + pixel + pair * 2 * lanes
                for part in range(0, 2 * lanes, 8)
                for pixel in range(4)
                for pair in (0, 1)
            ]
            found = tirx.Shuffle(pairs, [tirx.const(place, "int32") for place in places])
            return tirx.reinterpret(f"uint32x{lanes}", found)

        return words(1), words(0)

    return Packing(pack, pack_halves)


def _spread(word: int) -> Any:
    return tirx.const(word, "int32")
