"""The process that compiles and times candidates, ``python -m toolchain.tune.worker``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from toolchain.board.session import Session
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.tile import Tile
from toolchain.schedules.task import Task
from toolchain.support.cpu import configure_tvm_threads
from toolchain.support.serialization import from_plain
from toolchain.support.worker import answer
from toolchain.targets import Target
from toolchain.tune.bench import Bench, Entrant, difference
from toolchain.tune.kernel import compile_kernel
from toolchain.tune.machine import Here, Machine, There
from toolchain.tune.sample import Sample, make_sample


def compile_candidate(request: dict[str, Any]) -> dict[str, Any]:
    """``task``, ``tile``, ``target``, ``path``: write a library."""
    task, tile = from_plain(Task, request["task"]), from_plain(Tile, request["tile"])
    compile_kernel(task, tile, from_plain(Target, request["target"]), Path(request["path"]))
    return {"status": "ok"}


class CpuRig:
    """Kernels for CPUs, here or on a board; keeps the data of the last task."""

    def __init__(self) -> None:
        self.machine: Machine = Here()
        self.task: Task | None = None

    def connect(self, request: dict[str, Any]) -> dict[str, Any]:
        """From now on, check and time on a board; see `toolchain.board.connect`."""
        session, told = Session.open(request)
        self.machine, self.task = There(session), None
        return told

    def guard(self) -> AbstractContextManager[None]:
        """Around all work: ends the process if the machine is gone."""
        return self.machine.guard()

    def prepare(self, task: Task, request: dict[str, Any]) -> None:
        """Make the data of ``task``, for kernels of the request's ``instruction_set``."""
        if task == self.task:
            return
        dot = dot_product(request["instruction_set"])
        geometry = task.geometry(dot)
        # Two column tiles, the second hardly begun, and some rows for each thread.
        small = make_sample(task.conv, geometry, 2 * task.threads + 3, geometry.columns + 3)
        self.small, self.expected = small, small.used(small.expected())
        self.small_arguments = self._arguments(small, dot)
        timed = make_sample(task.conv, geometry, task.height, task.width)
        self.arguments = [*self._arguments(timed, dot), self.machine.tensor(timed.output())]
        self.machine.threads(task.threads)
        self.task = task

    def load(self, library: Path) -> Entrant:
        """The kernel of a library."""
        kernel = self.machine.load(library)

        def result() -> npt.NDArray[Any]:
            output = self.machine.tensor(self.small.output())
            kernel.call(*self.small_arguments, output)
            used: npt.NDArray[Any] = self.small.used(output.numpy())
            return used

        return Entrant(lambda: difference(result(), self.expected),
                       lambda number: kernel.seconds(self.arguments, number))

    def _arguments(self, sample: Sample, dot: Dot) -> list[Any]:
        """A kernel's arguments but the last, the output."""
        height, width = sample.size
        arrays = [self.machine.tensor(array) for array in sample.inputs(dot)]
        return [*arrays, height, sample.geometry.tiles(width), width]


def main() -> None:
    """Answer the requests on stdin until it ends."""
    configure_tvm_threads()
    rig = CpuRig()
    answer({"compile": compile_candidate, "connect": rig.connect, "time": Bench(rig).time})


if __name__ == "__main__":
    main()
