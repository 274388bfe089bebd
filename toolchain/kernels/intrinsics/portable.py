"""No intrinsic: plain integer arithmetic on four pixels at a time; LLVM vectorizes it as the machine allows."""

from __future__ import annotations

import dataclasses

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.intrinsics.instruction_set import InstructionSet


def make() -> Dot:
    """Return four pixels a vector, any processor."""
    return Dot("portable", 4, "int8", False, None, vectors=2, channels=4, columns=8, registers=16)


def make_opencl() -> Dot:
    """Return the same arithmetic, order of weights and layout, of which `toolchain.backends.opencl` makes its own
    kernels.
    """
    return dataclasses.replace(make(), name="opencl")


INSTRUCTION_SETS = (InstructionSet("portable", (), make), InstructionSet("opencl", (), make_opencl))
