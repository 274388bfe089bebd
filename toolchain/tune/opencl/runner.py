"""Running candidates on an OpenCL device of this machine or of a board, through a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.backends.opencl.host import kind_of
from toolchain.board.place import Place
from toolchain.support.errors import BoardError, TargetError
from toolchain.support.serialization import to_plain
from toolchain.support.worker import Died
from toolchain.targets import Target
from toolchain.tune.opencl import BOARD_WORKER, WORKER
from toolchain.tune.remote import BoardRunner
from toolchain.tune.runner import LocalRunner

_SLOWEST = 5e7
"""Multiply-accumulates a second below which a kernel hangs: PoCL on a busy processor does a hundred times as many."""

_START = 30.0
"""Seconds that a driver may take to compile a kernel."""

_UPLOAD = 10.0
"""Seconds that a candidate may take to reach a board."""

_ASK = 60.0
"""Seconds to compile the host part for a board, to send it there, and to find the driver."""


class DeviceRunner(LocalRunner):
    """Times on one device.

    Args:
        device: as the user calls it, a key of `toolchain.runtime.opencl.device.KINDS`.
        launch: seconds that a launch may take; PoCL finishes compiling a kernel within its first one.
        command: of the process.
    """

    def __init__(self, device: str, launch: float = 30.0, command: Sequence[str] = WORKER) -> None:
        super().__init__("opencl", command)
        self.slowest, self.start, self.launch = _SLOWEST, _START, launch
        self.context |= {"device": device, "launch": launch}

    def _recover(self, death: Died) -> str:
        """Be ready again after a death; returns what is to be noted of it."""
        if death.status == "hung":
            return f"a launch took more than {self.launch:g} s, or the driver more than {self.start:g} s to compile it"
        return death.note


class DeviceBoardRunner(BoardRunner):
    """Times on the OpenCL device of one board.

    Args:
        target: of the libraries.
        device: as the user calls it, a key of `toolchain.runtime.opencl.device.KINDS`.
        place: of the board; one among several where it is a tracker's key.
        wait: seconds to wait for a busy board, and for one that was lost.
        launch: seconds that a launch may take.
        command: of the process that talks to it.

    Raises:
        BoardError: there is no board, or it has no such device.
        TargetError: there is no C compiler for the board.
    """

    def __init__(
        self,
        target: Target,
        device: str,
        place: Place,
        wait: float,
        launch: float = 30.0,
        command: Sequence[str] = BOARD_WORKER,
    ) -> None:
        super().__init__("opencl", place, wait, command)
        self.start = _START + _UPLOAD
        self.context |= {"kind": kind_of(device), "launch": launch}
        try:
            self._device = self._ask_device(target) if super().refusal(target) is None else ""
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What the device and its driver call themselves; empty on a board that cannot run the libraries."""
        return self._device

    def refusal(self, target: Target) -> TargetError | None:
        """Return why it cannot be tuned on for ``target``; None if it can."""
        return super().refusal(target) or wrong_device(self._device, target)

    def _ask_device(self, target: Target) -> str:
        request = {"operation": "device", "kind": self.context["kind"], "target": to_plain(target)}
        try:
            answer = self._worker.ask(request, _ASK)
        except Died as death:
            raise BoardError(
                f"the board at {self.board.address} was lost when its OpenCL device was looked for: {death.note}",
                hint="does `clipfree board check` find it?",
            ) from death
        if "device" not in answer:
            raise BoardError(answer["note"], hint=answer["hint"])
        return str(answer["device"])


def wrong_device(name: str, target: Target) -> TargetError | None:
    """Return why the device ``name`` cannot be tuned on for ``target``; None if it can."""
    if target.gpu is None or target.gpu.name in name:
        return None
    return TargetError(
        f"{name} is no {target.gpu.name}, which {target.name} is for",
        hint="tune where there is one, or a processor's OpenCL with --target opencl-cpu",
    )
