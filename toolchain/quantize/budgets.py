"""What a network may cost, as people say it: percent more work, bops=100%, size=60% or size=20kB."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from toolchain.support.errors import CalibrationError, InputError

Kind = Literal["bops", "size"]

WORK: Final = "work"
BOPS: Final = "bops"
SIZE: Final = "size"
_HINT = "say 10 (percent more work), bops=100%, size=60% or size=20kB"
_BYTES = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6}
_NUMBER = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)(?P<unit>%|B|kB|MB|)")


@dataclass(frozen=True)
class CostBound:
    """The most that a network may cost.

    Attributes:
        kind: "bops", multiply-accumulates times the bits of both factors; "size", bytes of packed weights.
        most: in percent of what 8 bits everywhere cost, or in bytes; None: as little as there can be.
        relative: whether ``most`` is percent.
    """

    kind: Kind
    most: float | None = None
    relative: bool = True

    def __str__(self) -> str:
        """As `read_budgets` reads it."""
        if self.most is None:
            return self.kind
        return f"{self.kind}={self.most:.10g}{'%' if self.relative else ''}"


def read_budgets(words: Sequence[str]) -> tuple[float | None, tuple[CostBound, ...]]:
    """Return by how many percent work may grow, None where nothing is said of it, and the other bounds.

    Raises:
        InputError: a word is not understood, or one thing has two bounds.
    """
    work: float | None = None
    found: dict[str, CostBound] = {}
    for word in words:
        kind, equals, amount = word.partition("=") if "=" in word or word in (BOPS, SIZE) else (WORK, "=", word)
        if kind in found or (kind == WORK and work is not None):
            raise InputError(f"--budget gives {kind} two bounds", hint="say one of them")
        if kind == WORK:
            work = _percent(word, amount)
        elif kind in (BOPS, SIZE):
            found[kind] = _bound(BOPS if kind == BOPS else SIZE, word, amount if equals else None)
        else:
            raise InputError(f"there is no budget of '{kind}'", hint=_HINT)
    return work, tuple(found.values())


def _percent(word: str, amount: str) -> float:
    try:
        return float(amount.removesuffix("%"))
    except ValueError:
        raise InputError(f"--budget {word} is not understood", hint=_HINT) from None


def _bound(kind: Kind, word: str, amount: str | None) -> CostBound:
    if amount is None:
        return CostBound(kind)
    read = _NUMBER.fullmatch(amount)
    if not read or (kind == BOPS and read["unit"] != "%"):
        raise InputError(f"--budget {word} is not understood", hint=_HINT)
    relative = read["unit"] == "%"
    return CostBound(kind, float(read["number"]) * (1.0 if relative else _BYTES[read["unit"]]), relative)


def check_budgets(bounds: Sequence[CostBound], *, bounded_loss: bool, spare: bool) -> None:
    """Raise CalibrationError if no network can be chosen by these bounds.

    Args:
        bounds: of cost.
        bounded_loss: whether there is a bound on the loss too.
        spare: whether weights shall have as few bits as keep to it.
    """
    for bound in bounds:
        if bound.most is not None and not 0 < bound.most < math.inf:
            raise CalibrationError(f"a budget of {bound} is none", hint=_HINT)
        if bound.most is None and not bounded_loss:
            raise CalibrationError(
                f"a budget of {bound} without a number needs a bound on the loss",
                hint=f"say --budget {bound.kind}=80%, or --max-loss 0.05 for the least that keeps to it",
            )
    if bounds and spare:
        raise CalibrationError(
            f"--weight-bits auto and a budget of {bounds[0].kind} both choose the bits of weights",
            hint="leave out auto; --max-loss then takes the least that keeps to it",
        )
    if len({bound.kind for bound in bounds}) < len(bounds):
        raise CalibrationError(f"a budget gives {bounds[0].kind} two bounds", hint="say one of them")
