"""How far something is that takes a while: what runs, and the share of the whole that is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

Tell: TypeAlias = Callable[[str, float], None]
"""Is told what runs, in words, and the share of the whole that is done, 0 to 1."""


def untold(text: str, share: float) -> None:
    """Tell nobody."""


def part_of(tell: Tell, index: int, count: int) -> Tell:
    """Return what is to be told of one of ``count`` equal parts of what ``tell`` is told of."""
    return lambda text, share: tell(text, (index + share) / count)


class Stages:
    """A whole made of stages, one after the other.

    Args:
        tell: is told of the whole.
        weights: of the stages by name, in order: about how long each takes, in any unit.
    """

    def __init__(self, tell: Tell, weights: Mapping[str, float]) -> None:
        self._tell = tell
        total, before = sum(weights.values()), 0.0
        self._places: dict[str, tuple[float, float]] = {}
        for name, weight in weights.items():
            self._places[name] = (before / total, weight / total)
            before += weight

    def begin(self, name: str) -> Tell:
        """Tell that a stage begins; returns what is to be told of it, and of its share that is done: without words, its
        name is said.
        """
        start, part = self._places[name]

        def tell(text: str, share: float) -> None:
            self._tell(text or name, start + part * min(max(share, 0.0), 1.0))

        tell("", 0.0)
        return tell
