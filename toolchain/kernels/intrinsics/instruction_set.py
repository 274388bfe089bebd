"""An instruction set as targets name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from toolchain.kernels.intrinsics.dot import Dot


@dataclass(frozen=True)
class InstructionSet:
    """Instructions that there are convolution kernels for.

    Attributes:
        name: what a target's TOML file calls it.
        needs: the features that LLVM must enable for its instructions.
        make: registers its intrinsics with TVM and describes them.
    """

    name: str
    needs: tuple[str, ...]
    make: Callable[[], Dot]
