"""In the process that runs candidates: compare them with the reference, and time them in turn."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from toolchain.schedules.records import Status
from toolchain.schedules.task import Task
from toolchain.support.errors import ClipfreeError
from toolchain.support.serialization import from_plain

_SAMPLE_SECONDS = 1e-3
"""Calls shorter than this are timed several at once."""

_HOPELESS = 2.0
"""After three rounds, candidates slower than the first library by this factor are not timed further."""


@dataclass(frozen=True)
class BoundCandidate:
    """A candidate with the data of a task.

    Attributes:
        wrong: runs it on a small picture and says what is wrong with the result; empty if nothing is.
        seconds: runs it so many times at the task's size; the mean.
    """

    wrong: Callable[[], str]
    seconds: Callable[[int], float]


class Harness(Protocol):
    """Where candidates run, and on what."""

    def guard(self) -> AbstractContextManager[None]:
        """Around all work: ends the process if the machine is gone."""

    def prepare(self, task: Task, request: dict[str, Any]) -> None:
        """Make the data of ``task``."""

    def load(self, library: Path) -> BoundCandidate:
        """Return a candidate for the prepared task."""


class Bench:
    """Checks and times candidates on a harness."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer ``task``, ``libraries``, ``rounds``, and what the harness wants: status and seconds of each library.

        Libraries run in turn, round by round, so that all of them see the same moments of a noisy machine.
        """
        with self.harness.guard():
            self.harness.prepare(from_plain(Task, request["task"]), request)
            answers: list[dict[str, Any]] = []
            candidates: dict[int, BoundCandidate] = {}
            for index, path in enumerate(request["libraries"]):
                candidate, status, note = self._checked(Path(path))
                answers.append({"status": status, "note": note, "seconds": []})
                if candidate is not None:
                    candidates[index] = candidate
            numbers = {index: _number(candidate) for index, candidate in candidates.items()}
            for turn in range(request["rounds"]):
                for index, candidate in candidates.items():
                    answers[index]["seconds"].append(candidate.seconds(numbers[index]))
                if turn == 2 and 0 in candidates:
                    bound = _HOPELESS * min(answers[0]["seconds"])
                    candidates = {
                        index: candidate
                        for index, candidate in candidates.items()
                        if min(answers[index]["seconds"]) <= bound
                    }
        return {"answers": answers}

    def _checked(self, library: Path) -> tuple[BoundCandidate | None, Status, str]:
        """Return a candidate that is right; otherwise None, what is the matter with it, and a note."""
        try:
            candidate = self.harness.load(library)
            note = candidate.wrong()
        except ClipfreeError as error:  # a driver refuses it
            return None, "failed", error.message
        return (None, "wrong", note) if note else (candidate, "ok", "")


def difference(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> str:
    """Return how a result differs from the reference, in words; empty if it does not."""
    different = found != expected
    wrong = np.count_nonzero(different)
    return f"{wrong} of {different.size} values differ from the reference" if wrong else ""


def _number(candidate: BoundCandidate) -> int:
    """How many calls make one sample, found with two calls, of which the first warms up."""
    candidate.seconds(1)
    return max(1, math.ceil(_SAMPLE_SECONDS / max(candidate.seconds(1), 1e-9)))
