"""Progress of a deployment: its steps, timed, and told to whoever asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

STEPS = ("load", "normalize", "calibrate", "quantize", "compile", "link", "verify", "write")
_WEIGHTS = (2, 1, 5, 60, 18, 8, 4, 2)
"""About the percentages of the time that the steps take, with one target."""
_FIRST = STEPS.index("compile")
"""From here on a step is done for each target."""


@dataclass(frozen=True)
class Event:
    """Progress: a step begins (``seconds`` is None) or has ended, or says something on the way (``note``).

    Attributes:
        step: its name.
        index: its place in `STEPS`.
        detail: what came out of it, or happens in it.
        seconds: that it took.
        note: whether this is said on the way.
        share: of the whole deployment that is done, 0 to 1.
        target: whose step this is, where there are several.
        part: of the step that is done, 0 to 1, as far as that is known.
    """

    step: str
    index: int
    detail: str = ""
    seconds: float | None = None
    note: bool = False
    share: float = 0.0
    target: str = ""
    part: float = 0.0


class Note(Protocol):
    """Takes notes of a step; the last one of those without a share is the step's detail."""

    def __call__(self, text: str, share: float | None = None) -> None:
        """Say what happens; ``share``: of the step that is done."""


class Progress:
    """Times the steps and tells them to the caller. What is done between two steps counts for the second one.

    Args:
        tell: the caller.
        targets: how many there are.
    """

    def __init__(self, tell: Callable[[Event], None] | None, targets: int = 1) -> None:
        self.tell = tell or (lambda event: None)
        self.seconds: dict[str, float] = {}
        self._targets, self._target, self._name = targets, 0, ""
        self._begin = time.perf_counter()

    def next_target(self, name: str) -> None:
        """Go on with the next target: the steps that follow are its own."""
        self._target, self._name = self._target + 1, name if self._targets > 1 else ""
        self.seconds = {step: self.seconds[step] for step in STEPS[:_FIRST] if step in self.seconds}

    @contextmanager
    def step(self, name: str) -> Iterator[Note]:
        """Announce a step; yields a function for notes on the way."""
        index = STEPS.index(name)
        details, shares = [""], [0.0]

        def note(text: str, share: float | None = None) -> None:
            if share is None:
                details.append(text)
            else:
                shares.append(share)
            done = self._share(index, shares[-1])
            self.tell(Event(name, index, text, note=True, share=done, target=self._name, part=shares[-1]))

        self.tell(Event(name, index, share=self._share(index, 0), target=self._name))
        yield note
        end = time.perf_counter()
        self.seconds[name], self._begin = end - self._begin, end
        share = self._share(index, 1)
        self.tell(Event(name, index, details[-1], self.seconds[name], share=share, target=self._name, part=1.0))

    def _share(self, index: int, part: float) -> float:
        each = sum(_WEIGHTS[_FIRST:])
        done = sum(_WEIGHTS[:index]) + part * _WEIGHTS[index] + each * max(self._target - 1, 0)
        return done / (sum(_WEIGHTS[:_FIRST]) + each * self._targets)
