"""Tuning for an OpenCL device: its candidates, and the device of this machine that they run on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from toolchain.cpu import usable_cores
from toolchain.errors import InputError, TargetError
from toolchain.opencl.choose import job_of, task_of
from toolchain.opencl.cut import Cut
from toolchain.opencl.device import find_device
from toolchain.opencl.driver import device_name
from toolchain.opencl.estimate import cuts
from toolchain.opencl.gpu import Gpu
from toolchain.opencl.lower import jobs
from toolchain.targets import Target
from toolchain.tune.builder import Builder, LocalBuilder
from toolchain.tune.model import CostModel, XGBoostModel
from toolchain.tune.network import lowered_model
from toolchain.tune.opencl import WORKER
from toolchain.tune.opencl.features import CutFeatures, GuessingModel
from toolchain.tune.opencl.runner import DeviceRunner
from toolchain.tune.request import Request
from toolchain.tune.runner import Runner
from toolchain.tune.search import Search
from toolchain.tune.task import Demand, Task
from toolchain.tune.workshop import MOST_WORKERS

_MOST = 256
"""Cuts of a kernel that are candidates: the most promising by the estimate."""


class DeviceWorkshop:
    """Kernels for OpenCL devices, on one of this machine.

    Args:
        request: what to tune.
        target: of the request.
        gpu: of the target.

    Raises:
        TargetError: there is no such device here, or it is on a board.
        InputError: the request names threads.
    """

    def __init__(self, request: Request, target: Target, gpu: Gpu) -> None:
        if request.place is not None:
            raise TargetError("OpenCL kernels are not tuned on boards yet", hint="leave the board away: their cuts are "
                              "chosen by estimate, and `--target opencl-cpu` tunes them on this machine")
        if request.threads:
            raise InputError("an OpenCL device has no --threads", hint="leave it out")
        self._kind = "opencl-gpu" if gpu.name else "opencl-cpu"
        self.request, self.target, self.gpu = request, target, gpu
        self.name = device_name(find_device(self._kind))
        if gpu.name not in self.name:
            raise TargetError(f"{self.name} is no {gpu.name}, which {target.name} is for",
                              hint="tune where there is one, or this machine's processor with --target opencl-cpu")

    def model(self) -> CostModel:
        """MetaSchedule's cost model on the numbers of cuts; before it has learnt, the estimate."""
        return GuessingModel(XGBoostModel(CutFeatures(self.gpu)), self.gpu)

    def searches(self) -> list[Search]:
        """The integer convolutions of the request's models."""
        request = self.request
        networks = [lowered_model(path, self.target, request.calibration) for path in request.models]
        counts = Counter((task_of(job, *size), size) for network in networks for job in jobs(*network)
                         for size in request.sizes)
        return [Search(task, self._candidates(task), Demand(*size, times)) for (task, size), times in counts.items()]

    def _candidates(self, task: Task) -> list[Cut]:
        return [cut for cut, _ in cuts(job_of(task), self.gpu, task.height, task.width)[:_MOST]]

    def builder(self, folder: Path) -> Builder:
        """Sources, which the device's driver compiles."""
        return LocalBuilder(self.target, folder, min(usable_cores(), MOST_WORKERS), WORKER, ".json")

    def runner(self, note: Callable[[str], None]) -> Runner:
        """The device."""
        return DeviceRunner(self._kind)
