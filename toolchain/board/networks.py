"""A loaded network on a board, in the helper process: TVM's virtual machine, or the host part of OpenCL kernels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from toolchain.board.session import BoardSession
from toolchain.support.errors import BoardError, last_line

_ENTRY = "main"

Pixels = npt.NDArray[np.uint8]


class RemoteNetwork(Protocol):
    """What runs pictures u8 (h, w, C) to u8 (h*scale, w*scale, C)."""

    def bind(self, pixels: Pixels, threads: int, cores: Sequence[int]) -> None:
        """Send a picture to the board; `Session.threads` says what ``threads`` and ``cores`` are."""

    def run(self) -> Pixels:
        """Return the result for that picture."""

    def times(self, repeats: int, cool_down: float) -> list[float]:
        """Return seconds of each of some runs, by the board's clock, with ``cool_down`` seconds of rest after each."""

    def functions(self, repeats: int) -> dict[str, float]:
        """Return seconds of each function of the network, mean of ``repeats`` runs."""


class OnCpu:
    """A network for CPUs."""

    def __init__(self, session: BoardSession, library: Any) -> None:
        from tvm.runtime.vm import VirtualMachine

        self._session = session
        self._machine = VirtualMachine(library, session.device)

    def bind(self, pixels: Pixels, threads: int, cores: Sequence[int]) -> None:
        """Send a picture to the board."""
        self._session.threads(threads, cores)
        self._machine.set_input(_ENTRY, self._session.tensor(pixels))

    def run(self) -> Pixels:
        """Return the result for that picture."""
        self._machine.invoke_stateful(_ENTRY)
        return np.asarray(self._machine.get_outputs(_ENTRY).numpy())

    def times(self, repeats: int, cool_down: float) -> list[float]:
        """Return seconds of each run."""
        timer = self._machine.time_evaluator(
            "invoke_stateful",
            self._session.device,
            number=1,
            repeat=repeats,
            cooldown_interval_ms=round(1000 * cool_down),
        )
        return list(timer(_ENTRY).results)

    def functions(self, repeats: int) -> dict[str, float]:
        """Return seconds of each function of the library."""
        self._machine.set_instrument("clipfree.board.stopwatch")
        for _ in range(repeats):
            self._machine.invoke_stateful(_ENTRY)
        return {name: lap[0] / repeats for name, lap in json.loads(self._session.laps()).items()}


class OnOpenCl:
    """A network for OpenCL devices: the host part of `toolchain.backends.opencl.host`.

    Args:
        session: with the board.
        library: loaded there.
        kind: of device, see `toolchain.backends.opencl.host.kind_of`.
        scale: of the network, a numerator and a denominator.
        kernels: the names of its launches, in order.

    Attributes:
        device: its name.

    Raises:
        BoardError: there is no such device, or it cannot run the kernels.
    """

    def __init__(
        self, session: BoardSession, library: Any, kind: int, scale: Sequence[int], kernels: Sequence[str]
    ) -> None:
        self._session, self._library, self._scale, self._kernels = session, library, scale, kernels
        self.device = str(self._ask("open", kind))

    def bind(self, pixels: Pixels, _threads: int, _cores: Sequence[int]) -> None:
        """Send a picture to the board; its processor's threads are the driver's."""
        (height, width, channels), (times, over) = pixels.shape, self._scale
        large = np.zeros((height * times // over, width * times // over, channels), np.uint8)
        self._pictures = self._session.tensor(pixels), self._session.tensor(large)

    def run(self) -> Pixels:
        """Return the result for that picture."""
        self._ask("main", *self._pictures)
        return np.asarray(self._pictures[1].numpy())

    def times(self, repeats: int, cool_down: float) -> list[float]:
        """Return seconds of each run, with the transfer of the pictures to the device and back."""
        timer = self._library.time_evaluator(
            "main", self._session.device, number=1, repeat=repeats, cooldown_interval_ms=round(1000 * cool_down)
        )
        return list(timer(*self._pictures).results)

    def functions(self, repeats: int) -> dict[str, float]:
        """Return seconds of each kernel, as the device counts them."""
        seconds = self._session.tensor(np.zeros(len(self._kernels)))
        total = np.zeros(len(self._kernels))
        for _ in range(repeats):
            self._ask("times", *self._pictures, seconds)
            total += seconds.numpy() / repeats
        return dict(zip(self._kernels, total.tolist(), strict=True))

    def _ask(self, function: str, *values: Any) -> Any:
        try:
            return self._library[function](*values)
        except Exception as error:
            raise BoardError(f"the board at {self._session.address}: {last_line(error)}") from error
