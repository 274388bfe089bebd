"""One file per family of instructions: how four codes of several pixels are multiplied with four weights and summed."""

from __future__ import annotations

import functools

from toolchain.kernels.intrinsics import neon, pmaddwd, portable, vnni
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.support.errors import TargetError

REGISTRY: dict[str, InstructionSet] = {
    found.name: found for family in (vnni, pmaddwd, neon, portable) for found in family.INSTRUCTION_SETS
}
"""The instruction sets there are kernels for, by name; a new family is a file and its name in the line above."""


@functools.cache  # parsing the intrinsic takes as long as compiling a small kernel
def dot_product(instruction_set: str) -> Dot:
    """The dot product of ``instruction_set`` (a name from a target's TOML), registered with TVM.

    Raises:
        TargetError: no kernels exist for that instruction set.
    """
    if instruction_set not in REGISTRY:
        raise TargetError(f"there are no kernels for the instruction set {instruction_set!r}",
                          hint="known: " + ", ".join(REGISTRY))
    return REGISTRY[instruction_set].make()
