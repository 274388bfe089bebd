"""Where candidates run: on this machine, or on a board."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from toolchain.board.session import BoardSession
from toolchain.tune.kernel import ENTRY


@dataclass(frozen=True)
class Loaded:
    """A candidate's kernel: call it, or time it; ``seconds(arguments, number)`` is the mean of so many calls."""

    call: Callable[..., Any]
    seconds: Callable[[Sequence[Any], int], float]


class Machine(Protocol):
    """Loads kernels and holds their data."""

    def load(self, library: Path) -> Loaded:
        """Return the kernel of a library."""

    def tensor(self, array: npt.NDArray[np.generic]) -> Any:
        """Return a copy of ``array`` where kernels can use it."""

    def threads(self, count: int) -> None:
        """Let kernels use so many threads, on the fastest cores."""

    def guard(self) -> AbstractContextManager[None]:
        """Around all work: ends the process if the machine is gone."""


class LocalMachine:
    """The machine that clipfree runs on."""

    def load(self, library: Path) -> Loaded:
        """Return the kernel of a library."""
        import tvm

        function = tvm.runtime.load_module(str(library))[ENTRY]

        def seconds(arguments: Sequence[Any], number: int) -> float:
            begin = time.perf_counter()
            for _ in range(number):
                function(*arguments)
            return (time.perf_counter() - begin) / number

        return Loaded(function, seconds)

    def tensor(self, array: npt.NDArray[np.generic]) -> Any:
        """Return a copy of ``array`` as TVM's tensor."""
        import tvm

        return tvm.runtime.tensor(array)

    def threads(self, count: int) -> None:
        """Let kernels use so many threads, on the fastest cores."""
        import tvm

        tvm.get_global_func("runtime.config_threadpool")(1, count)  # 1 is the mode "fastest cores first"

    def guard(self) -> AbstractContextManager[None]:
        """Nothing: this machine stays."""
        return nullcontext()


class RemoteMachine:
    """A board, by whose clock is timed: the network does not count."""

    def __init__(self, session: BoardSession) -> None:
        self._session = session
        self.tensor, self.threads, self.guard = session.tensor, session.threads, session.guard

    def load(self, library: Path) -> Loaded:
        """Return the kernel of a library, which is uploaded."""
        module = self._session.load(library)

        def seconds(arguments: Sequence[Any], number: int) -> float:
            timer = module.time_evaluator(ENTRY, self._session.device, number=number, repeat=1)
            return float(timer(*arguments).results[0])

        return Loaded(module[ENTRY], seconds)
