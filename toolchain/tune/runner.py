"""Running candidates: each is compared with the integer reference, then timed in turn with the others.

Here they run on this machine; `toolchain.tune.remote` runs them on boards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from toolchain.schedules.records import Status
from toolchain.schedules.task import Task
from toolchain.support.serialization import from_plain, to_plain
from toolchain.support.worker import Died, Worker
from toolchain.tune import WORKER

LIMIT = 30.0
"""Seconds a candidate may take beyond what its arithmetic needs."""

SLOWEST = 3e9
"""Multiply-accumulates a second below which a kernel counts as hanging."""


@dataclass(frozen=True)
class Timed:
    """What became of one library.

    Attributes:
        status: what became of it.
        seconds: of one call, round by round; may end early where a candidate is hopeless.
        note: what happened, if it is not "ok".
    """

    status: Status
    seconds: tuple[float, ...] = ()
    note: str = ""

    @property
    def best(self) -> float:
        """Mean of the fastest third: other programs only ever add time. Infinite if it was never timed."""
        count = math.ceil(len(self.seconds) / 3)
        return sum(sorted(self.seconds)[:count]) / count if count else math.inf

    def wins(self, other: Timed) -> float:
        """Share of the rounds in which it was faster than ``other``."""
        pairs = list(zip(self.seconds, other.seconds, strict=False))
        return sum(mine < theirs for mine, theirs in pairs) / len(pairs) if pairs else 0.0


class Runner(Protocol):
    """Times candidates."""

    def time(self, task: Task, libraries: Sequence[Path], rounds: int) -> list[Timed]:
        """Return one result for each library; those that are right run in turn, ``rounds`` times."""

    def close(self) -> None:
        """Give back what it holds."""


class LocalRunner:
    """Times on this machine, in one process.

    Args:
        instruction_set: of the libraries.
        command: of the process.

    Attributes:
        slowest: multiply-accumulates a second below which a kernel counts as hanging.
        start: seconds that loading a library may take.
        context: what else the process is told with every request.
    """

    def __init__(self, instruction_set: str, command: Sequence[str] = WORKER) -> None:
        self.slowest, self.start = SLOWEST, 0.0
        self.context: dict[str, Any] = {"instruction_set": instruction_set}
        self._worker = Worker(command)

    def time(self, task: Task, libraries: Sequence[Path], rounds: int) -> list[Timed]:
        """Return one result for each library; those that are right run in turn, ``rounds`` times."""
        request = {
            **self.context,
            "operation": "time",
            "task": to_plain(task),
            "libraries": [str(path) for path in libraries],
            "rounds": rounds,
        }
        limit = LIMIT + len(libraries) * (self.start + (rounds + 3) * (0.05 + task.macs / self.slowest))
        try:
            answer = self._worker.ask(request, limit)
        except Died as death:
            note = self._recover(death)
            if len(libraries) > 1:  # one of them did it: each by itself
                return [self.time(task, [library], rounds)[0] for library in libraries]
            return [Timed(death.status, note=note)]
        if "answers" not in answer:
            return [Timed("failed", note=answer["note"]) for _ in libraries]
        return [from_plain(Timed, one) for one in answer["answers"]]

    def close(self) -> None:
        """End the process."""
        self._worker.close()

    def _recover(self, death: Died) -> str:
        """Be ready again after a death; returns what is to be noted of it."""
        return death.note
