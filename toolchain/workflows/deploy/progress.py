"""Progress of a deployment: its steps, timed, and told to whoever asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STEPS = ("load", "normalize", "calibrate", "quantize", "compile", "link", "verify", "write")


@dataclass(frozen=True)
class Event:
    """Progress: a step begins (``seconds`` is None) or has ended, or says something on the way (``note``)."""

    step: str
    index: int
    detail: str = ""
    seconds: float | None = None
    note: bool = False


class Progress:
    """Times the steps and tells them to the caller. What is done between two steps counts for the second one."""

    def __init__(self, tell: Callable[[Event], None] | None) -> None:
        self.tell = tell or (lambda event: None)
        self.seconds: dict[str, float] = {}
        self._begin = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Announce a step; yields a function for notes on the way. The last note is the step's detail."""
        index = STEPS.index(name)
        notes = [""]

        def note(text: str) -> None:
            notes.append(text)
            self.tell(Event(name, index, text, note=True))

        self.tell(Event(name, index))
        yield note
        end = time.perf_counter()
        self.seconds[name], self._begin = end - self._begin, end
        self.tell(Event(name, index, notes[-1], self.seconds[name]))
