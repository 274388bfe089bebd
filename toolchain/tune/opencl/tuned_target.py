"""Tuning for an OpenCL device: its candidates, and the device of this machine or of boards that they run on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from toolchain.backends.opencl.choose import job_of, task_of
from toolchain.backends.opencl.estimate import cuts
from toolchain.backends.opencl.lower import jobs
from toolchain.board.place import Place
from toolchain.kernels.launch import LaunchConfig
from toolchain.runtime.opencl.device import device_name, find_device
from toolchain.schedules.task import Demand, Task
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import InputError, TargetError
from toolchain.targets import Target
from toolchain.targets.gpu import Gpu
from toolchain.targets.linker import find_c_compiler
from toolchain.tune.builder import Builder, LocalBuilder
from toolchain.tune.model import CostModel, XGBoostModel
from toolchain.tune.network import lowered_model
from toolchain.tune.opencl import BOARD_WORKER, WORKER
from toolchain.tune.opencl.features import CutFeatures, GuessingModel
from toolchain.tune.opencl.runner import DeviceBoardRunner, DeviceRunner, wrong_device
from toolchain.tune.remote import open_boards
from toolchain.tune.request import TuningRequest
from toolchain.tune.runner import Runner
from toolchain.tune.search import Search
from toolchain.tune.tuned_target import MOST_WORKERS

_MOST = 256
"""Cuts of a kernel that are candidates: the most promising by the estimate."""


class TunedDevice:
    """Kernels for OpenCL devices, on one of this machine or on boards.

    Args:
        request: what to tune.
        target: of the request.
        gpu: of the target.

    Raises:
        TargetError: there is no such device, another one than the target is for, or for boards no C compiler.
        BoardError: there is no board, or it has no such device.
        InputError: the request names threads.
    """

    def __init__(self, request: TuningRequest, target: Target, gpu: Gpu) -> None:
        if request.threads:
            raise InputError("an OpenCL device has no --threads", hint="leave it out")
        self._kind = "opencl-gpu" if gpu.name else "opencl-cpu"
        self.request, self.target, self.gpu = request, target, gpu
        self.name, refusal = self._device()
        if refusal is not None:
            raise refusal

    def _device(self) -> tuple[str, TargetError | None]:
        """Return the name of the device to tune on, and why it cannot be tuned on, if so."""
        request, target = self.request, self.target
        if request.place is None:
            name = device_name(find_device(self._kind))
            return name, wrong_device(name, target)
        find_c_compiler(target.triple)
        with closing(self._board(target, request.place, request.wait)) as board:
            return board.name, board.refusal(target)

    def _board(self, target: Target, place: Place, wait: float) -> DeviceBoardRunner:
        return DeviceBoardRunner(target, self._kind, place, wait)

    def model(self) -> CostModel:
        """Return boosted trees on the numbers of cuts; before they have learnt, the estimate."""
        return GuessingModel(XGBoostModel(CutFeatures(self.gpu)), self.gpu)

    def searches(self) -> list[Search]:
        """Return the integer convolutions of the request's models."""
        request = self.request
        networks = [lowered_model(path, self.target, request.calibration) for path in request.models]
        counts = Counter(
            (task_of(job, *size), size) for network in networks for job in jobs(*network) for size in request.sizes
        )
        return [Search(task, self._candidates(task), Demand(*size, times)) for (task, size), times in counts.items()]

    def _candidates(self, task: Task) -> list[LaunchConfig]:
        return [cut for cut, _ in cuts(job_of(task), self.gpu, task.height, task.width)[:_MOST]]

    def builder(self, folder: Path) -> Builder:
        """Return sources, which the device's driver compiles; for boards, with the host part around them."""
        command, suffix = (WORKER, ".json") if self.request.place is None else (BOARD_WORKER, ".so")
        return LocalBuilder(self.target, folder, min(usable_cores(), MOST_WORKERS), command, suffix)

    def runner(self, note: Callable[[str], None]) -> Runner:
        """Return the device, or those of the boards that are there."""
        if self.request.place is not None:
            return open_boards(self.request.place, self.target, self.request.wait, note, self._board)
        return DeviceRunner(self._kind)
