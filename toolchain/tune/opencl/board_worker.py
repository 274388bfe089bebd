"""The process that times candidates on a board's device: ``python -m toolchain.tune.opencl.board_worker``."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.board.session import BoardSession
from toolchain.kernels.launch import LaunchConfig
from toolchain.schedules.task import Task
from toolchain.support.errors import BoardError, last_line
from toolchain.support.serialization import from_plain
from toolchain.support.worker import answer, within
from toolchain.targets import Target
from toolchain.tune.bench import Bench, BoundCandidate, difference
from toolchain.tune.opencl.candidate import generated
from toolchain.tune.opencl.data import RESULT, SMALL, sample_of, tensors
from toolchain.tune.opencl.library import TENSORS, compile_candidate, compile_probe


def make_candidate(request: dict[str, Any]) -> dict[str, Any]:
    """``task``, ``tile``, ``target``, ``path``: write a library."""
    task, target = from_plain(Task, request["task"]), from_plain(Target, request["target"])
    assert target.gpu is not None
    written = generated(task, from_plain(LaunchConfig, request["tile"]), target.gpu)
    compile_candidate(task, written, target, Path(request["path"]))
    return {"status": "ok"}


class BoardHarness:
    """Kernels on a board's OpenCL device, through the library's own host part; keeps the data of the last task."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._loaded: list[_Loaded] = []

    def connect(self, request: dict[str, Any]) -> dict[str, Any]:
        """From now on, check and time on a board; see `toolchain.board.connect`."""
        self._session, told = BoardSession.open(request)
        return told

    def device(self, request: dict[str, Any]) -> dict[str, Any]:
        """``target``, ``kind``: the name of the board's device of that kind, see
        `toolchain.backends.opencl.host.kind_of`.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.so"
            compile_probe(from_plain(Target, request["target"]), path)
            probe = _Loaded(self._session, path)
            name = str(probe.ask("open", request["kind"]))
            probe.ask("close")
        return {"device": name}

    def guard(self) -> AbstractContextManager[None]:
        """Around all work: ends the process if the board is gone."""
        return self._session.guard()

    def prepare(self, task: Task, request: dict[str, Any]) -> None:
        """Make the data of ``task``, for the request's ``kind`` of device; a launch may take ``launch`` seconds."""
        self._kind, self._limit = int(request["kind"]), float(request["launch"])
        while self._loaded:
            self._loaded.pop().ask("close")
        if task == self._task:
            return
        self._small, self._timed = (_Data(task, size, self._session) for size in (SMALL, (task.height, task.width)))
        small = self._small.sample
        self._expected = small.used(small.expected())
        self._task = task

    def load(self, library: Path) -> BoundCandidate:
        """Return the candidate of a library, which is uploaded; the board's driver compiles it."""
        loaded = _Loaded(self._session, library)
        self._loaded.append(loaded)
        loaded.ask("open", self._kind)
        small = self._small

        def seconds(number: int) -> float:
            loaded.hold(self._timed)
            return self._launch(loaded, self._timed, number)

        def wrong() -> str:
            loaded.hold(small)
            self._launch(loaded, small, 1)
            result = self._session.tensor(small.result)
            loaded.ask("take", TENSORS.index(RESULT), result)
            return difference(small.sample.used(result.numpy()), self._expected)

        return BoundCandidate(wrong, seconds)

    def _launch(self, loaded: _Loaded, data: _Data, number: int) -> float:
        """Mean seconds of so many launches, by the device's clock; the alarm ends a process whose launch does not."""
        with within(self._limit):
            return float(loaded.ask("launch", *data.sample.size, number))


class _Data:
    """A sample in the board's memory."""

    def __init__(self, task: Task, size: tuple[int, int], session: BoardSession) -> None:
        self.sample = sample_of(task, *size)
        arrays = tensors(task, self.sample)
        self.result = np.asarray(arrays[RESULT])
        self.tensors = {TENSORS.index(name): session.tensor(array) for name, array in arrays.items()}


class _Loaded:
    """A library on the board, and what its buffers hold."""

    def __init__(self, session: BoardSession, library: Path) -> None:
        self._session, self._module = session, session.load(library)
        self._held: _Data | None = None

    def ask(self, function: str, *values: Any) -> Any:
        """Call one of the library's functions, see ``toolchain/backends/opencl/native/tvm.c``.

        Raises:
            BoardError: it failed. If the board is gone, the process ends.
        """
        try:
            with self._session.guard():
                return self._module[function](*values)
        except Exception as error:
            raise BoardError(f"the board at {self._session.address}: {last_line(error)}") from error

    def hold(self, data: _Data) -> None:
        """Fill the buffers with ``data``, unless they were."""
        if data is not self._held:
            for number, tensor in data.tensors.items():
                self.ask("give", number, tensor)
        self._held = data


def main() -> None:
    """Answer the requests on stdin until it ends."""
    harness = BoardHarness()
    answer(
        {"compile": make_candidate, "connect": harness.connect, "device": harness.device, "time": Bench(harness).time}
    )


if __name__ == "__main__":
    main()
