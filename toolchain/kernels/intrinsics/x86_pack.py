"""Rounding and packing by x86's own instructions: the saturation of ``packssdw`` and ``packuswb`` is the clamp.

Four vectors of sums become one vector of words by three packs and one byte shuffle, where clamping, masking and
shifting takes four times as many instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from toolchain.kernels.epilogue import real
from toolchain.kernels.spec import Requantize


@dataclass(frozen=True)
class Instructions:
    """What packing needs of vectors of ``lanes`` 32-bit numbers; functions of TVM expressions.

    Attributes:
        lanes: numbers in a vector.
        round: float32 (lanes,) to int32, half to even; beyond int32's range to its smallest number.
        narrow: two int32 (lanes,) to one int16 (2 * lanes,), saturated, in every 128 bits for themselves.
        saturate: two int16 (2 * lanes,) to one uint8 (4 * lanes,), saturated, likewise.
        shuffle: bytes int8 (4 * lanes,) in the order of indices int8 (4 * lanes,), within every 128 bits.
    """

    lanes: int
    round: Callable[[Any], Any]
    narrow: Callable[[Any, Any], Any]
    saturate: Callable[[Any, Any], Any]
    shuffle: Callable[[Any, Any], Any]


def named(lanes: int, convert: str, narrow: str, saturate: str, shuffle: str, *rest: Any) -> Instructions:
    """Instructions by their names in LLVM; ``rest``: what the conversion takes beyond the numbers."""

    def call(kind: str, count: int, name: str, *rest: Any) -> Callable[..., Any]:
        return lambda *vectors: tirx.call_llvm_pure_intrin(f"{kind}x{count}", name, *vectors, *rest)

    return Instructions(
        lanes,
        call("int32", lanes, convert, *rest),
        call("int16", 2 * lanes, narrow),
        call("int8", 4 * lanes, saturate),
        call("int8", 4 * lanes, shuffle),
    )


# The conversion's rest: what masked numbers would become, no mask, and the rounding mode in force: half to even.
AVX512 = named(
    16,
    "llvm.x86.avx512.mask.cvtps2dq.512",
    "llvm.x86.avx512.packssdw.512",
    "llvm.x86.avx512.packuswb.512",
    "llvm.x86.avx512.pshuf.b.512",
    tirx.Broadcast(tirx.const(0, "int32"), 16),
    tirx.const(-1, "int16"),
    tirx.const(4, "int32"),
)
AVX2 = named(
    8, "llvm.x86.avx.cvt.ps2dq.256", "llvm.x86.avx2.packssdw", "llvm.x86.avx2.packuswb", "llvm.x86.avx2.pshuf.b"
)
SSE4 = named(
    4,
    "llvm.x86.sse2.cvtps2dq",
    "llvm.x86.sse2.packssdw.128",
    "llvm.x86.sse2.packuswb.128",
    "llvm.x86.ssse3.pshuf.b.128",
)


def packer(instructions: Instructions) -> Callable[[list[Any], Requantize], Any]:
    """Return the `toolchain.kernels.intrinsics.dot.Dot.pack` of these instructions."""
    lanes = instructions.lanes

    def rounded(value: Any, requantize: Requantize) -> Any:
        zero = requantize.zero_point
        if requantize.low > -zero:
            value = tirx.max(value, real(requantize.low))
        # Beyond int32 the conversion gives its smallest number: below, that saturates rightly; above, it must not be.
        if requantize.high < 255 - zero or not requantize.fits:
            value = tirx.min(value, real(requantize.high))
        code = instructions.round(value)
        return code + tirx.const(zero, "int32") if zero else code

    def pack(values: list[Any], requantize: Requantize) -> Any:
        codes = [rounded(value, requantize) for value in values]
        halves = [instructions.narrow(*codes[i : i + 2]) for i in (0, 2)]
        # Every 128-bit part now holds four pixels of the first channel, four of the second, ...: byte 4*c + p goes to
        # 4*p + c.
        grouped = instructions.saturate(*halves)
        index = tirx.Ramp(tirx.const(0, "int32"), tirx.const(1, "int32"), lanes) & tirx.const(3, "int32")
        order = index * tirx.const(0x01010101, "int32") + tirx.const(0x0C080400, "int32")
        words = instructions.shuffle(grouped, tirx.reinterpret(f"int8x{4 * lanes}", order))
        return tirx.reinterpret(f"uint32x{lanes}", words)

    return pack
