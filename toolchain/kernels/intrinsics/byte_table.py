"""Tables of 256 bytes looked up by an instruction set's own shuffles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.intrinsics.neon_pack import joined, part

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ByteTable:
    """How bytes are looked up in tables of 256.

    Attributes:
        rows: vectors in which a table is stored.
        repeated: times that every 16 bytes of it stand in a vector; 1: a vector holds what comes next.
        find: codes uint8 (n,) looked up, given what returns row number r of the table, int8 (n,) or what it is stored
            as.
        most: tables that may be looked up for a byte before reading from memory is faster, see
            `toolchain.kernels.lookup`.
    """

    rows: int
    repeated: int
    find: Callable[[Callable[[int], Any], Any], Any]
    most: int

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return 256 * self.repeated // self.rows

    def laid(self, table: Bytes) -> Bytes:
        """Return a table (256,) as (rows, width)."""
        return np.ascontiguousarray(np.tile(table.reshape(-1, 256 // self.rows), (1, self.repeated)))


def by_shuffles(lanes: int, shuffle: Callable[[Any, Any], Any]) -> ByteTable:
    """Return tables by ``shuffle``, which picks bytes int8 (4 * lanes,) by indices of which the low four bits count,
    within every 128 bits: each of 16 looks up the low bits in a part of the table, and the high bits choose among them.
    """
    number = 4 * lanes

    def find(row: Callable[[int], Any], codes: Any) -> Any:
        words = tirx.reinterpret(f"uint32x{lanes}", codes)
        low = T.bind(_bytes(words & _every(0x0F0F0F0F, lanes), number))
        none = tirx.Broadcast(tirx.const(0, "int8"), number)
        # The bits 4 to 7 as the top ones of their bytes: where they are set, the byte is negative.
        tops = [T.bind(_bytes(words << _every(left, lanes), number)) for left in (3, 2, 1, 0)]

        def entries(start: int, count: int) -> Any:
            """Return what codes become of which the high bits are ``start`` or one of those that follow."""
            if count == 1:
                return T.bind(shuffle(_bytes(row(start), number), low))
            half = count // 2
            below, above = entries(start, half), entries(start + half, half)
            return T.bind(tirx.Select(tops[half.bit_length() - 1] < none, above, below))

        return entries(0, 16)

    return ByteTable(16, lanes // 4, find, 1)


def _by_permutes(row: Callable[[int], Any], codes: Any) -> Any:
    index = T.bind(_bytes(codes, 64))

    def half(start: int) -> Any:
        operands = _bytes(row(start), 64), index, _bytes(row(start + 1), 64)
        return tirx.call_llvm_pure_intrin("int8x64", "llvm.x86.avx512.vpermi2var.qi.512", *operands)

    return tirx.Select(index < tirx.Broadcast(tirx.const(0, "int8"), 64), half(2), half(0))


def _by_tbl(row: Callable[[int], Any], codes: Any) -> Any:
    count = int(codes.ty.dtype.lanes)
    rows = [T.bind(_bytes(row(number), 16)) for number in range(16)]

    def find(index: Any) -> Any:
        found = _neon("tbl4", *rows[:4], index)
        for start in (4, 8, 12):
            rest = index - tirx.Broadcast(tirx.const(16 * start, "uint8"), 16)
            found = _neon("tbx4", found, *rows[start : start + 4], _bytes(rest, 16))
        return found

    found = [find(part(codes, start, 16) if count > 16 else codes) for start in range(0, count, 16)]
    return found[0] if len(found) == 1 else joined(found)


def _neon(name: str, *operands: Any) -> Any:
    return tirx.call_llvm_pure_intrin("int8x16", f"llvm.aarch64.neon.{name}", *operands)


def _bytes(vector: Any, number: int) -> Any:
    return tirx.reinterpret(f"int8x{number}", vector)


def _every(value: int, lanes: int) -> Any:
    return tirx.Broadcast(tirx.const(value, "uint32"), lanes)


PERMUTES = ByteTable(4, 1, _by_permutes, 8)
"""AVX512-VBMI: ``vpermi2b`` picks among 128 bytes."""

TBL = ByteTable(16, 1, _by_tbl, 3)
"""64-bit Arm: ``tbl`` picks among 64 bytes, and ``tbx`` leaves what others have found."""
