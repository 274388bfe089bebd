"""Choosing the cuts of a build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import TypeAlias

from toolchain.backends.opencl.estimate import Estimate, cuts, estimate, fits
from toolchain.backends.opencl.job import Job
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.spec import Conv
from toolchain.schedules.records import Best
from toolchain.schedules.select import Tuning
from toolchain.schedules.task import Task, normal
from toolchain.targets.gpu import Gpu


@dataclass(frozen=True)
class Choice:
    """The cut of one kernel, what is expected of it, and where it was found; None: it is the estimate's."""

    cut: LaunchConfig
    expected: Estimate
    record: Best | None = None

    def __str__(self) -> str:
        if self.record is None:
            return f"{self.cut} (by estimate)"
        return f"{self.cut} (tuned at {self.record.task.height}x{self.record.task.width} on {self.record.cpu})"


Choose: TypeAlias = Callable[[Job], Choice]


def by_estimate(gpu: Gpu, height: int, width: int) -> Choose:
    """Return the cut that promises most for pictures of ``height`` x ``width``; see
    `toolchain.backends.opencl.estimate`.
    """
    return lambda job: Choice(*cuts(job, gpu, height, width)[0])


def by_log(tuning: Tuning, gpu: Gpu) -> Choose:
    """Return the cut that a log knows, as far as the device can run it, else the estimate's."""
    guess = by_estimate(gpu, tuning.height, tuning.width)

    def choose(job: Job) -> Choice:
        kernel = task_of(job, tuning.height, tuning.width).kernel
        best = tuning.nearest(
            lambda best: (
                best.task.kernel == kernel and isinstance(best.tile, LaunchConfig) and fits(job, best.tile, gpu)
            ),
            job.scale,
        )
        if best is None or not isinstance(best.tile, LaunchConfig):
            return guess(job)
        return Choice(best.tile, estimate(job, best.tile, gpu.core, tuning.height, tuning.width), best)

    return choose


def task_of(job: Job, height: int, width: int) -> Task:
    """Return what is tuned of a network's kernel for pictures of ``height`` x ``width``. The order of a picture's bytes
    stays: it says how the kernel may be cut.
    """
    assert isinstance(job.conv, Conv)
    conv, anchor = replace(normal(job.conv), pixels=job.conv.pixels), next(iter(job.anchors), None)
    return Task(conv, ceil(height * job.scale), ceil(width * job.scale), 0, job.picture or 0, anchor or 0)


def job_of(task: Task) -> Job:
    """Return the kernel of a task of `task_of`."""
    return Job(task.conv, task.picture or None, (task.anchor or None,) * len(task.conv.others))
