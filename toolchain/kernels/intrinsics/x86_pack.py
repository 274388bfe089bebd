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
    """LLVM's names of the instructions on vectors of ``lanes`` 32-bit numbers."""

    lanes: int
    round: str
    narrow: str
    saturate: str
    shuffle: str


AVX512 = Instructions(16, "llvm.x86.avx512.mask.cvtps2dq.512", "llvm.x86.avx512.packssdw.512",
                      "llvm.x86.avx512.packuswb.512", "llvm.x86.avx512.pshuf.b.512")
AVX2 = Instructions(8, "llvm.x86.avx.cvt.ps2dq.256", "llvm.x86.avx2.packssdw", "llvm.x86.avx2.packuswb",
                    "llvm.x86.avx2.pshuf.b")
SSE4 = Instructions(4, "llvm.x86.sse2.cvtps2dq", "llvm.x86.sse2.packssdw.128", "llvm.x86.sse2.packuswb.128",
                    "llvm.x86.ssse3.pshuf.b.128")


def packer(instructions: Instructions) -> Callable[[list[Any], Requantize], Any]:
    """The `toolchain.kernels.intrinsics.dot.Dot.pack` of these instructions."""
    lanes = instructions.lanes
    call = tirx.call_llvm_pure_intrin

    def rounded(value: Any, requantize: Requantize) -> Any:
        zero = requantize.zero_point
        if requantize.low > -zero:
            value = tirx.max(value, real(requantize.low))
        # Beyond int32 the conversion gives its smallest number: below, that saturates rightly; above, it must not be.
        if requantize.high < 255 - zero or not requantize.fits:
            value = tirx.min(value, real(requantize.high))
        arguments = [value]
        if instructions is AVX512:  # no mask, and the rounding mode in force: half to even
            arguments += [tirx.Broadcast(tirx.const(0, "int32"), lanes), tirx.const(-1, "int16"),
                          tirx.const(4, "int32")]
        code = call(f"int32x{lanes}", instructions.round, *arguments)
        return code + tirx.const(zero, "int32") if zero else code

    def pack(values: list[Any], requantize: Requantize) -> Any:
        codes = [rounded(value, requantize) for value in values]
        halves = [call(f"int16x{2 * lanes}", instructions.narrow, *codes[i:i + 2]) for i in (0, 2)]
        # Every 128-bit part now holds four pixels of the first channel, four of the second, ...: byte 4*c + p goes to
        # 4*p + c.
        grouped = call(f"int8x{4 * lanes}", instructions.saturate, *halves)
        index = tirx.Ramp(tirx.const(0, "int32"), tirx.const(1, "int32"), lanes) & tirx.const(3, "int32")
        order = index * tirx.const(0x01010101, "int32") + tirx.const(0x0C080400, "int32")
        words = call(f"int8x{4 * lanes}", instructions.shuffle, grouped, tirx.reinterpret(f"int8x{4 * lanes}", order))
        return tirx.reinterpret(f"uint32x{lanes}", words)

    return pack
