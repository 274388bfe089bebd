"""The process that compiles and times candidates, ``python -m toolchain.tune.worker``."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from toolchain.board.session import BoardSession
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.tile import Tile
from toolchain.schedules.task import Task
from toolchain.support.cpu import configure_tvm_threads
from toolchain.support.serialization import from_plain, to_plain
from toolchain.support.worker import answer
from toolchain.targets import Target
from toolchain.tune.bench import Bench, BoundCandidate, difference
from toolchain.tune.kernel import compile_kernel
from toolchain.tune.kernel_data import KernelData, make_sample
from toolchain.tune.machine import LocalMachine, Machine, RemoteMachine


def compile_candidate(request: dict[str, Any]) -> dict[str, Any]:
    """``task``, ``tile``, ``target``, ``path``: write a library, and the tile beside it: weights are in its order."""
    task, tile, path = from_plain(Task, request["task"]), from_plain(Tile, request["tile"]), Path(request["path"])
    compile_kernel(task, tile, from_plain(Target, request["target"]), path)
    _beside(path).write_text(json.dumps(to_plain(tile)), encoding="utf-8")
    return {"status": "ok"}


class CpuHarness:
    """Kernels for CPUs, here or on a board; keeps the data of the last task."""

    def __init__(self) -> None:
        self.machine: Machine = LocalMachine()
        self.task: Task | None = None

    def connect(self, request: dict[str, Any]) -> dict[str, Any]:
        """From now on, check and time on a board; see `toolchain.board.connect`."""
        session, told = BoardSession.open(request)
        self.machine, self.task = RemoteMachine(session), None
        return told

    def guard(self) -> AbstractContextManager[None]:
        """Around all work: ends the process if the machine is gone."""
        return self.machine.guard()

    def prepare(self, task: Task, request: dict[str, Any]) -> None:
        """Make the data of ``task``, for kernels of the request's ``instruction_set``."""
        if task == self.task:
            return
        self.dot = dot_product(request["instruction_set"])
        geometry = task.geometry(self.dot)
        # Two column tiles, the second hardly begun, and some rows for each thread.
        small = make_sample(task.conv, geometry, 2 * task.threads + 3, geometry.columns + 3)
        self.small, self.expected = small, small.used(small.expected())
        timed = make_sample(task.conv, geometry, task.height, task.width)
        self.tensors = {sample: [self.machine.tensor(array) for array in sample.tensors] for sample in (small, timed)}
        self.timed, self.timed_output = timed, self.machine.tensor(timed.output())
        self.machine.threads(task.threads)
        self.task = task

    def load(self, library: Path) -> BoundCandidate:
        """Return the kernel of a library."""
        kernel = self.machine.load(library)
        tile = from_plain(Tile, json.loads(_beside(library).read_bytes()))
        # Those of the small sample serve both: values do not touch speed.
        constants = [self.machine.tensor(array) for array in self.small.constants(self.dot, tile)]

        def arguments(sample: KernelData, output: Any) -> list[Any]:
            height, width = sample.size
            return [*self.tensors[sample], *constants, height, sample.geometry.tiles(width), width, output]

        def result() -> npt.NDArray[Any]:
            output = self.machine.tensor(self.small.output())
            kernel.call(*arguments(self.small, output))
            used: npt.NDArray[Any] = self.small.used(output.numpy())
            return used

        timed = arguments(self.timed, self.timed_output)
        return BoundCandidate(lambda: difference(result(), self.expected), lambda number: kernel.seconds(timed, number))


def _beside(library: Path) -> Path:
    """Return the file that holds the tile of a candidate's library."""
    return library.with_suffix(".tile")


def main() -> None:
    """Answer the requests on stdin until it ends."""
    configure_tvm_threads()
    harness = CpuHarness()
    answer({"compile": compile_candidate, "connect": harness.connect, "time": Bench(harness).time})


if __name__ == "__main__":
    main()
