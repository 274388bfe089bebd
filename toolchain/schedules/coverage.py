"""How much of a network runs in kernels whose tiles were found by tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from toolchain.support.serialization import Count, Finite

if TYPE_CHECKING:
    from toolchain.lower import Kernel
    from toolchain.schedules.records import Best


@dataclass(frozen=True)
class TunedCoverage:
    """How much of a network's arithmetic runs in kernels whose tiles were found by tuning.

    Attributes:
        kernels, macs: all of it.
        tuned_kernels, tuned_macs: in tuned kernels.
        estimated_kernels: those of the tuned kernels that were not timed: cost models chose.
    """

    kernels: Count
    tuned_kernels: Count
    macs: Finite
    tuned_macs: Finite
    estimated_kernels: Count = 0

    @property
    def share(self) -> float:
        """Tuned share of all MACs, 0..1."""
        return self.tuned_macs / self.macs if self.macs else 1.0

    def __str__(self) -> str:
        text = f"{self.tuned_kernels}/{self.kernels} kernels, {100 * self.share:.0f} % of MACs"
        if not self.estimated_kernels:
            return text
        which = "" if self.estimated_kernels == self.tuned_kernels else f"{self.estimated_kernels} of them "
        return f"{text} ({which}by static cost, not timed)"


@dataclass(frozen=True)
class Expected:
    """What the kernels of a network are expected to take, one after the other: without what streaming saves, and what
    lies between them.

    Attributes:
        seconds: of a picture.
        threads: that they ran on.
        cpu: whose times they are, or which cost model's; where several, the first.
        measured: whether all were timed.
    """

    seconds: Finite
    threads: Count
    cpu: str
    measured: bool


class Recorded(Protocol):
    """A choice of any kind."""

    @property
    def record(self) -> Best | None:
        """Where it was found."""


def coverage(kernels: Sequence[Kernel[Any]], choices: Sequence[Recorded]) -> TunedCoverage:
    """Return how much of ``kernels`` is tuned, given the choice for each."""
    known = [
        (kernel.macs, choice.record.measured)
        for kernel, choice in zip(kernels, choices, strict=True)
        if choice.record is not None
    ]
    return TunedCoverage(
        len(kernels),
        len(known),
        sum(kernel.macs for kernel in kernels),
        sum(macs for macs, _ in known),
        estimated_kernels=sum(not measured for _, measured in known),
    )


def expected(kernels: Sequence[Kernel[Any]], choices: Sequence[Recorded], height: int, width: int) -> Expected | None:
    """Return what kernels take for a picture of ``height`` x ``width``, by the records that chose their tiles, scaled
    by the pixels; None where a kernel has none, or they are of different numbers of threads.
    """
    records = [choice.record for choice in choices if choice.record is not None]
    if not records or len(records) < len(kernels) or len({record.task.threads for record in records}) > 1:
        return None
    seconds = 0.0
    for kernel, record in zip(kernels, records, strict=True):
        pixels = height * width * kernel.enlarged
        seconds += record.seconds * (float(pixels / (record.task.height * record.task.width)) if pixels else 1.0)
    first = records[0]
    return Expected(seconds, first.task.threads, first.cpu, all(record.measured for record in records))
