"""Running candidates on an OpenCL device of this machine, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.process import Died
from toolchain.tune.opencl import WORKER
from toolchain.tune.runner import LocalRunner

_SLOWEST = 5e7
"""Multiply-accumulates a second below which a kernel hangs: PoCL on a busy processor does a hundred times as many."""

_START = 30.0
"""Seconds that a driver may take to compile a kernel."""


class DeviceRunner(LocalRunner):
    """Times on one device.

    Args:
        device: as the user calls it, a key of `toolchain.opencl.device.KINDS`.
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
