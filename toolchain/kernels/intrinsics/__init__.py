"""One file per family of instructions: how four codes of several pixels are multiplied with four weights and summed."""

from __future__ import annotations

import functools

from toolchain.kernels.intrinsics import neon, pmaddwd, portable, vnni
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.support.errors import TargetError
from toolchain.targets import Target, architecture
from toolchain.targets.llvm import features, near

REGISTRY: dict[str, InstructionSet] = {
    found.name: found for family in (vnni, pmaddwd, neon, portable) for found in family.INSTRUCTION_SETS
}
"""The instruction sets there are kernels for, by name; a new family is a file and its name in the line above."""


@functools.cache  # parsing the intrinsic takes as long as compiling a small kernel
def dot_product(instruction_set: str) -> Dot:
    """Return the dot product of ``instruction_set`` (a name from a target's TOML), registered with TVM.

    Raises:
        TargetError: no kernels exist for that instruction set.
    """
    if instruction_set not in REGISTRY:
        raise TargetError(
            f"there are no kernels for the instruction set {instruction_set!r}", hint="known: " + ", ".join(REGISTRY)
        )
    return REGISTRY[instruction_set].make()


def check_instruction_set(target: Target) -> None:
    """See that there are kernels for the target's instruction set, and that its CPU has those instructions.

    Raises:
        TargetError: there are no such kernels, or the CPU lacks what they need.
    """
    name = target.instruction_set
    if name not in REGISTRY:
        raise TargetError(f"target {target.name}: there are no kernels for {name!r}", hint=near(name, REGISTRY))
    has = set(features(target))
    lacking = sorted(set(REGISTRY[name].needs) - has)
    if lacking:
        old = architecture(target.triple) == "armv7a"
        able = [
            other
            for other, known in REGISTRY.items()
            if known.needs and has.issuperset(known.needs) and other.startswith("armv7") == old
        ]
        instead = f'write instruction_set = "{able[0]}"' if able else "choose other kernels"
        raise TargetError(
            f"target {target.name}: the kernels for {name} need {', '.join(lacking)}, which {target.cpu} has not",
            hint=f"{instead}, choose another CPU, or add +{lacking[0]} to the attributes",
        )
