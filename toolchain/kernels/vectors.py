"""What an instruction set contributes to the float kernels: the length and the number of its vector registers.

Multiply-add needs no intrinsic: LLVM makes one instruction of a vector product and a vector sum wherever there is one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tvm import tirx

from toolchain.support.errors import TargetError

if TYPE_CHECKING:
    from toolchain.targets import Target


@dataclass(frozen=True)
class Vectors:
    """Vector registers as the float kernels use them.

    Attributes:
        dtype: of a lane: "float32" or "float16".
        lanes: numbers in a register.
        registers: how many there are.
        sums: vectors of sums that a register tile has by default, at most.
        columns: pixels in a column tile of a network's tensors, a multiple of ``lanes``: widths are rounded up to it.
        fewest: input channels of a group from which `toolchain.kernels.float_winograd` is faster, which wants column
            tiles of four vectors; None: never, or its rounding is too coarse.
    """

    dtype: str
    lanes: int
    registers: int
    sums: int
    columns: int
    fewest: int | None = None

    def half(self) -> Vectors:
        """Return the same registers with float16 in them."""
        return dataclasses.replace(self, dtype="float16", lanes=2 * self.lanes, columns=2 * self.columns, fewest=None)

    @property
    def type(self) -> str:
        """TVM's name of a vector's type."""
        return f"{self.dtype}x{self.lanes}"

    def all(self, number: float) -> Any:
        """Return a vector of which every lane is ``number``."""
        return tirx.Broadcast(tirx.const(number, self.dtype), self.lanes)


_AVX512 = Vectors("float32", 16, 32, 18, 64, 3)
_AVX2, _NEON = Vectors("float32", 8, 16, 9, 32, 3), Vectors("float32", 4, 32, 18, 16, 3)
_SMALL = Vectors("float32", 4, 16, 9, 16, 3)
_FLOAT32 = {
    "avx512vnni": _AVX512,
    "avx512vnni-bw": _AVX512,
    "avxvnni": _AVX2,
    "avx2": _AVX2,
    "sse4": _SMALL,
    "neon": _NEON,
    "neon-dotprod": _NEON,
    "neon-i8mm": _NEON,
    "armv7-neon": _SMALL,
    "portable": _SMALL,
    "opencl": Vectors("float32", 4, 16, 9, 8),
}
_HALF = {"asimdhp": "Armv8.2 FP16", "avx512_fp16": "AVX512-FP16"}
"""CPU features, as /proc/cpuinfo spells them, that compute with float16, and what people call them."""


def vectors_for(target: Target, precision: str) -> Vectors:
    """Return the vectors of ``target`` for "float32" or "float16".

    Raises:
        TargetError: nothing is known of its instruction set, or it cannot compute with float16.
    """
    if target.instruction_set not in _FLOAT32:
        raise TargetError(
            f"there are no float kernels for the instruction set {target.instruction_set!r}",
            hint="known: " + ", ".join(_FLOAT32),
        )
    vectors = _FLOAT32[target.instruction_set]
    if precision == "float32" or target.gpu is not None:  # OpenCL kernels compute with float32 in any case
        return vectors
    if not _HALF.keys() & set(target.requires):
        raise TargetError(
            f"{target.name} does not compute with float16",
            hint=f"that takes {' or '.join(_HALF.values())}; use --precision float32 or int8",
        )
    return vectors.half()
