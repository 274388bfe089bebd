"""No intrinsic: plain integer arithmetic on four pixels at a time; LLVM vectorizes it as the machine allows."""

from __future__ import annotations

from toolchain.kernels.intrinsics.dot import Dot


def make() -> Dot:
    """Four pixels a vector, any processor."""
    return Dot("portable", 4, "int8", False, None, vectors=2, channels=4, columns=8, registers=16)
