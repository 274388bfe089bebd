"""Building candidates: each a library of one kernel, made in processes that may crash."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolchain.schedules.records import Candidate, Status
from toolchain.schedules.task import Task
from toolchain.support.serialization import to_plain
from toolchain.support.worker import Died, Worker
from toolchain.targets import Target
from toolchain.tune import WORKER

LIMIT = 60.0
"""Seconds a candidate may take to compile."""


@dataclass(frozen=True)
class Built:
    """A candidate's library, or None and what happened instead."""

    library: Path | None
    status: Status = "ok"
    note: str = ""


class Builder(Protocol):
    """Compiles candidates."""

    def build(self, task: Task, tiles: Sequence[Candidate]) -> list[Built]:
        """Return one result for each tile."""

    def close(self) -> None:
        """Give back what it holds."""


class LocalBuilder:
    """Compiles on this machine, several at a time.

    MetaSchedule's own builder imports TVM's tensor intrinsics in every process, 15 to 28 s of work, and runs into its
    own time limit.

    Args:
        target: to compile for.
        folder: for the libraries; a kernel's is kept there, for the same tile is tried at other sizes too.
        workers: processes.
        command: of a process.
        suffix: of the files.
    """

    def __init__(
        self, target: Target, folder: Path, workers: int, command: Sequence[str] = WORKER, suffix: str = ".so"
    ) -> None:
        self.target, self.folder, self.suffix = target, folder, suffix
        self._workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._all = [Worker(command) for _ in range(workers)]
        for worker in self._all:
            self._workers.put(worker)
        self._done: dict[tuple[object, Candidate], Built] = {}

    def build(self, task: Task, tiles: Sequence[Candidate]) -> list[Built]:
        """Return one result for each tile."""
        new = [tile for tile in dict.fromkeys(tiles) if (task.kernel, tile) not in self._done]
        paths = [self.folder / f"{len(self._done) + index}{self.suffix}" for index in range(len(new))]
        with ThreadPoolExecutor(len(self._all)) as pool:
            for tile, built in zip(
                new, pool.map(lambda job: self._build(task, *job), zip(new, paths, strict=True)), strict=True
            ):
                self._done[task.kernel, tile] = built
        return [self._done[task.kernel, tile] for tile in tiles]

    def close(self) -> None:
        """End the processes."""
        for worker in self._all:
            worker.close()

    def _build(self, task: Task, tile: Candidate, path: Path) -> Built:
        request = {
            "operation": "compile",
            "task": to_plain(task),
            "tile": to_plain(tile),
            "target": to_plain(self.target),
            "path": str(path),
        }
        worker = self._workers.get()
        try:
            answer = worker.ask(request, LIMIT)
        except Died as death:
            return Built(None, death.status, death.note)
        finally:
            self._workers.put(worker)
        return Built(path) if answer["status"] == "ok" else Built(None, "failed", answer["note"])
