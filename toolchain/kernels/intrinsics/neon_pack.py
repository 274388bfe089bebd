"""Rounding and packing by NEON's own instructions: ``fcvtns`` rounds half to even and saturates, narrowing moves
saturate too; nothing is left to clamp, to mask or to shift.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx

from toolchain.kernels.epilogue import Packing, lanes, pack_wide, real
from toolchain.kernels.spec import Requantize

_ORDER = bytes(4 * (place % 4) + place // 4 for place in range(16))
"""Byte 4*c + p, of channel c and pixel p, goes to 4*p + c."""


def part(vector: Any, start: int, count: int) -> Any:
    """Return numbers ``start`` to ``start + count`` of a vector."""
    return tirx.Shuffle([vector], [tirx.const(start + index, "int32") for index in range(count)])


def joined(vectors: list[Any]) -> Any:
    """Vectors one after the other, as one."""
    return tirx.Shuffle(vectors, [tirx.const(i, "int32") for i in range(sum(lanes(vector) for vector in vectors))])


def _pack_bytes(values: list[Any], requantize: Requantize) -> Any:
    """Return words of codes of 8 bits, of any multiple of four pixels."""
    words = [
        _pack_four([part(value, start, 4) for value in values], requantize) for start in range(0, lanes(values[0]), 4)
    ]
    return words[0] if len(words) == 1 else joined(words)


def _pack_four(values: list[Any], requantize: Requantize) -> Any:
    halves = []
    for pair in (values[:2], values[2:]):
        narrow = [_call("int16x4", "llvm.aarch64.neon.sqxtn", _rounded(value, requantize)) for value in pair]
        codes = joined(narrow)
        if requantize.zero_point:
            zero = tirx.Broadcast(tirx.const(requantize.zero_point, "int16"), 8)
            codes = _call("int16x8", "llvm.sadd.sat", codes, zero)
        halves.append(_call("int8x8", "llvm.aarch64.neon.sqxtun", codes))
    order = tirx.reinterpret("int8x16", _constant(_ORDER))
    return tirx.reinterpret("uint32x4", _call("int8x16", "llvm.aarch64.neon.tbl1", joined(halves), order))


def _rounded(value: Any, requantize: Requantize) -> Any:
    zero = requantize.zero_point
    if requantize.low > -zero:
        value = tirx.max(value, real(requantize.low))
    if requantize.high < 255 - zero:
        value = tirx.min(value, real(requantize.high))
    return _call("int32x4", "llvm.aarch64.neon.fcvtns", value)


def _constant(data: bytes) -> Any:
    """16 bytes as a vector of four words."""
    words = [tirx.const(int.from_bytes(data[i : i + 4], "little", signed=True), "int32") for i in range(0, 16, 4)]
    return tirx.Shuffle(words, [tirx.const(i, "int32") for i in range(4)])


def _call(dtype: str, instruction: str, *arguments: Any) -> Any:
    return tirx.call_llvm_pure_intrin(dtype, instruction, *arguments)


PACK_NEON = Packing(_pack_bytes, pack_wide)
"""The `toolchain.kernels.intrinsics.dot.Dot.pack` of 64-bit Arm."""
