"""What is made of numbers of several tensors, place by place: operations one after the other. Values, not code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolchain.kernels.spec import Add, Addend, Stage


@dataclass(frozen=True)
class Operation:
    """One operation of a formula.

    Attributes:
        name: in `toolchain.kernels.float_functions.FUNCTIONS`.
        arguments: numbers of values, see `Compute`.
        numbers: constants that it takes besides.
    """

    name: str
    arguments: tuple[int, ...]
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Compute:
    """The stage that makes a number of the one so far and of others: the last operation's result.

    Values are numbered: the one so far, those of ``operands``, those of ``arrays`` constants of the channel, and the
    operations' results.
    """

    operands: tuple[Addend, ...]
    arrays: int
    operations: tuple[Operation, ...]


FloatStage = Stage | Compute


def operands_of(stages: Sequence[FloatStage]) -> tuple[Addend, ...]:
    """Return the tensors that stages read, in order."""
    found: list[Addend] = []
    for stage in stages:
        if isinstance(stage, Add):
            found.append(stage.operand)
        elif isinstance(stage, Compute):
            found += stage.operands
    return tuple(found)
