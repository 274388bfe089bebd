"""Codes that lie in words, as vectors of numbers that are compared all at once."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from toolchain.kernels.layout import PACK


def code_vector(planes: list[Any], lanes: int) -> Any:
    """Return the codes that lie in words, one a plane, as a vector of numbers."""
    count = PACK * lanes
    high, *low = (tirx.reinterpret(f"uint8x{count}", words) for words in planes)
    if not low:
        return high
    wide = f"uint16x{count}"
    eight = tirx.Broadcast(tirx.const(8, "uint16"), count)
    return tirx.Cast(wide, high) << eight | tirx.Cast(wide, low[0])


def plane_words(codes: Any, lanes: int, *, wide: bool) -> list[Any]:
    """Inverse of `code_vector`."""
    count = PACK * lanes
    parts = [codes]
    if wide:
        eight = tirx.Broadcast(tirx.const(8, "uint16"), count)
        parts = [tirx.Cast(f"uint8x{count}", codes >> eight), tirx.Cast(f"uint8x{count}", codes)]
    return [tirx.reinterpret(f"uint32x{lanes}", part) for part in parts]
