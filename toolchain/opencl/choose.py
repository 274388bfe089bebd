"""Choosing the cuts of a build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from toolchain.opencl.cut import Cut
from toolchain.opencl.estimate import Estimate, cuts, estimate
from toolchain.opencl.gpu import Gpu
from toolchain.opencl.job import Job


@dataclass(frozen=True)
class Choice:
    """The cut of one kernel, what is expected of it, and where it was found."""

    cut: Cut
    expected: Estimate
    source: str = "by estimate"

    def __str__(self) -> str:
        return f"{self.cut} ({self.source})"


Choose: TypeAlias = Callable[[Job], Choice]


def by_estimate(gpu: Gpu, height: int, width: int) -> Choose:
    """The cut that promises most for pictures of ``height`` x ``width``; see `toolchain.opencl.estimate`."""
    return lambda job: Choice(*cuts(job, gpu, height, width)[0])


def always(cut: Callable[[Job], Cut], gpu: Gpu, height: int, width: int) -> Choose:
    """A cut of one's own."""

    def choose(job: Job) -> Choice:
        chosen = cut(job)
        return Choice(chosen, estimate(job, chosen, gpu.core, height, width), "given")

    return choose
