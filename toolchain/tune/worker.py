"""The process that compiles and times candidates: ``python -m toolchain.tune.worker``, see `toolchain.process`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.board.session import Session
from toolchain.cpu import let_tvm_use_all_cores
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.tile import Tile
from toolchain.process import answer
from toolchain.targets import Target
from toolchain.tune.kernel import compile_kernel
from toolchain.tune.machine import Here, Loaded, Machine, There
from toolchain.tune.sample import Sample, make_sample
from toolchain.tune.task import Task
from toolchain.tune.values import from_plain

_SAMPLE_SECONDS = 1e-3
"""Calls shorter than this are timed several at once."""

_HOPELESS = 2.0
"""After three rounds, candidates slower than the first library by this factor are not timed further."""


def compile_candidate(request: dict[str, Any]) -> dict[str, Any]:
    """``task``, ``tile``, ``target``, ``path``: write a library."""
    task, tile = from_plain(Task, request["task"]), from_plain(Tile, request["tile"])
    compile_kernel(task, tile, from_plain(Target, request["target"]), Path(request["path"]))
    return {"status": "ok"}


class Bench:
    """Checks and times libraries; keeps the data of the last task, which the next request is most likely for."""

    def __init__(self) -> None:
        self.machine: Machine = Here()
        self.task: Task | None = None

    def connect(self, request: dict[str, Any]) -> dict[str, Any]:
        """From now on, check and time on a board; see `toolchain.board.connect`."""
        session, told = Session.open(request)
        self.machine, self.task = There(session), None
        return told

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """``task``, ``instruction_set``, ``libraries``, ``rounds``: one status and list of seconds for each library.

        Libraries run in turn, round by round, so that all of them see the same moments of a noisy machine.
        """
        with self.machine.guard():
            self._prepare(from_plain(Task, request["task"]), dot_product(request["instruction_set"]))
            kernels = [self.machine.load(Path(path)) for path in request["libraries"]]
            notes = [self._wrong(kernel) for kernel in kernels]
            seconds: list[list[float]] = [[] for _ in kernels]
            alive = [index for index, note in enumerate(notes) if not note]
            numbers = {index: self._number(kernels[index]) for index in alive}
            for turn in range(request["rounds"]):
                for index in alive:
                    seconds[index].append(kernels[index].seconds(self.arguments, numbers[index]))
                if turn == 2 and 0 in alive:
                    bound = _HOPELESS * min(seconds[0])
                    alive = [index for index in alive if min(seconds[index]) <= bound]
        return {"answers": [{"status": "wrong" if note else "ok", "note": note, "seconds": times}
                            for note, times in zip(notes, seconds, strict=True)]}  # fmt: skip

    def _prepare(self, task: Task, dot: Dot) -> None:
        if task == self.task:
            return
        geometry = task.geometry(dot)
        # Two column tiles, the second hardly begun, and some rows for each thread.
        small = make_sample(task.conv, geometry, 2 * task.threads + 3, geometry.columns + 3)
        self.small, self.expected = small, small.used(small.expected())
        self.small_arguments = self._arguments(small, dot)
        timed = make_sample(task.conv, geometry, task.height, task.width)
        self.arguments = [*self._arguments(timed, dot), self.machine.tensor(timed.output())]
        self.machine.threads(task.threads)
        self.task = task

    def _arguments(self, sample: Sample, dot: Dot) -> list[Any]:
        """A kernel's arguments but the last, the output."""
        height, width = sample.size
        arrays = [self.machine.tensor(array) for array in sample.inputs(dot)]
        return [*arrays, height, sample.geometry.tiles(width), width]

    def _wrong(self, kernel: Loaded) -> str:
        """What is wrong with the kernel's result on a small picture; empty if nothing is."""
        output = self.machine.tensor(self.small.output())
        kernel.call(*self.small_arguments, output)
        different = self.small.used(output.numpy()) != self.expected
        wrong = np.count_nonzero(different)
        return f"{wrong} of {different.size} values differ from the reference" if wrong else ""

    def _number(self, kernel: Loaded) -> int:
        """How many calls make one sample, found with two calls, of which the first warms up."""
        kernel.seconds(self.arguments, 1)
        return max(1, math.ceil(_SAMPLE_SECONDS / max(kernel.seconds(self.arguments, 1), 1e-9)))


def main() -> None:
    """Answer the requests on stdin until it ends."""
    let_tvm_use_all_cores()
    bench = Bench()
    answer({"compile": compile_candidate, "connect": bench.connect, "time": bench.time})


if __name__ == "__main__":
    main()
