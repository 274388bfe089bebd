"""What a cut looks like to the cost model, and what the estimate thinks of it before anything was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2, prod

import numpy as np
import numpy.typing as npt

from toolchain.backends.opencl.choose import job_of
from toolchain.backends.opencl.estimate import Estimate, estimate
from toolchain.kernels.launch import LaunchConfig
from toolchain.schedules.records import Candidate
from toolchain.schedules.task import Task
from toolchain.targets.gpu import Gpu
from toolchain.tune.model import CostModel


class CutFeatures:
    """The numbers of a cut and of its estimate, all but rates as logarithms."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def of(self, task: Task, tiles: Sequence[Candidate]) -> npt.NDArray[np.float32]:
        """Describe each cut: float32 (cuts, features)."""
        return np.array([self._row(task, cut) for cut in tiles], np.float32)

    def _row(self, task: Task, cut: Candidate) -> list[float]:
        assert isinstance(cut, LaunchConfig)
        job, found = job_of(task), guess(task, cut, self._gpu)
        sums = (cut.pixels, cut.channels, *cut.group, prod(cut.group), cut.pixels * cut.channels, cut.vector)
        work = task.height * task.width * job.macs
        return [
            *map(log2, sums),
            cut.unroll,
            found.registers,
            found.occupancy,
            found.lines,
            log2(found.groups + 1),
            *(log2(cost / work) for cost in (found.read, found.written, found.cycles)),
            log2(job.inputs),
            log2(prod(job.conv.kernel)),
            len(job.order),
        ]


class GuessingModel:
    """A cost model that asks the estimate as long as the other one cannot tell."""

    def __init__(self, model: CostModel, gpu: Gpu) -> None:
        self._model, self._gpu = model, gpu

    def learn(self, task: Task, relative: Mapping[Candidate, float]) -> None:
        """Take note of times, relative to the default cut's."""
        self._model.learn(task, relative)

    def scores(self, task: Task, tiles: Sequence[Candidate]) -> list[float] | None:
        """Return how good each cut is, higher is better."""
        known = self._model.scores(task, tiles)
        return known if known is not None else [-guess(task, cut, self._gpu).cycles for cut in tiles]


def guess(task: Task, cut: Candidate, gpu: Gpu) -> Estimate:
    """Return what is expected of a cut at the task's size."""
    assert isinstance(cut, LaunchConfig)
    return estimate(job_of(task), cut, gpu.core, task.height, task.width)
