"""The process that compiles and times candidates: ``python -m toolchain.tune.worker``, see `toolchain.tune.process`."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.cpu import let_tvm_use_all_cores
from toolchain.errors import ClipfreeError, last_line
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.tile import Tile
from toolchain.targets import Target
from toolchain.tune.kernel import ENTRY, compile_kernel
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
        self.task: Task | None = None

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """``task``, ``instruction_set``, ``libraries``, ``rounds``: one status and list of seconds for each library.

        Libraries run in turn, round by round, so that all of them see the same moments of a noisy machine.
        """
        import tvm

        self._prepare(from_plain(Task, request["task"]), dot_product(request["instruction_set"]))
        calls: list[Callable[[], object] | None] = []
        answers: list[dict[str, Any]] = []
        for path in request["libraries"]:
            function = tvm.runtime.load_module(path)[ENTRY]
            note = self._wrong(function)
            answers.append({"status": "wrong" if note else "ok", "note": note, "seconds": []})
            calls.append(None if note else self._call(function))
        alive = [index for index, call in enumerate(calls) if call is not None]
        numbers = {index: _number(calls[index]) for index in alive}
        for turn in range(request["rounds"]):
            for index in alive:
                answers[index]["seconds"].append(_time(calls[index], numbers[index]))
            if turn == 2 and 0 in alive:
                bound = _HOPELESS * min(answers[0]["seconds"])
                alive = [index for index in alive if min(answers[index]["seconds"]) <= bound]
        return {"answers": answers}

    def _prepare(self, task: Task, dot: Dot) -> None:
        import tvm

        if task == self.task:
            return
        geometry = task.geometry(dot)
        # Two column tiles, the second hardly begun, and some rows for each thread.
        small = make_sample(task.conv, geometry, 2 * task.threads + 3, geometry.columns + 3)
        self.small, self.expected = small, small.used(small.expected())
        self.small_arguments = _arguments(small, dot)
        timed = make_sample(task.conv, geometry, task.height, task.width)
        self.arguments = [*_arguments(timed, dot), tvm.runtime.tensor(timed.output())]
        # 1 is the mode "fastest cores first".
        tvm.get_global_func("runtime.config_threadpool")(1, task.threads)
        self.task = task

    def _wrong(self, function: Any) -> str:
        """What is wrong with the kernel's result on a small picture; empty if nothing is."""
        import tvm

        output = tvm.runtime.tensor(self.small.output())
        function(*self.small_arguments, output)
        different = self.small.used(output.numpy()) != self.expected
        wrong = np.count_nonzero(different)
        return f"{wrong} of {different.size} values differ from the reference" if wrong else ""

    def _call(self, function: Any) -> Callable[[], object]:
        return lambda: function(*self.arguments)


def _arguments(sample: Sample, dot: Dot) -> list[Any]:
    """A kernel's arguments but the last, the output."""
    import tvm

    height, width = sample.size
    arrays = [tvm.runtime.tensor(array) for array in sample.inputs(dot)]
    return [*arrays, height, sample.geometry.tiles(width), width]


def _number(call: Callable[[], object] | None) -> int:
    """How many calls make one sample, found with two calls, of which the first warms up."""
    _time(call, 1)
    return max(1, math.ceil(_SAMPLE_SECONDS / max(_time(call, 1), 1e-9)))


def _time(call: Callable[[], object] | None, number: int) -> float:
    assert call is not None
    begin = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - begin) / number


def main() -> None:
    """Answer the requests on stdin until it ends."""
    let_tvm_use_all_cores()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what compilers and libraries print must not pass for an answer
    operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "compile": compile_candidate, "time": Bench(),
    }  # fmt: skip
    for line in sys.stdin:
        request = json.loads(line)
        # The alarm's default action ends the process wherever it is, also if its parent is long gone.
        signal.setitimer(signal.ITIMER_REAL, request["limit"])
        try:
            answer = operations[request["operation"]](request)
        except Exception as error:  # TVM raises many kinds
            note = error.message if isinstance(error, ClipfreeError) else last_line(error)[:200]
            answer = {"status": "failed", "note": note}
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
