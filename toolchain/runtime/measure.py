"""Timing a call: warm-up, many repeats, and figures that show how far they can be trusted."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.notebook import table

_REST = 0.05
"""Seconds, after which the threads of all runtimes that were looked at sleep."""


@dataclass(frozen=True)
class TimingPlan:
    """How to time a call.

    Attributes:
        warm_up: calls before the first that counts: caches, thread pool and memory pool fill.
        repeats: most calls timed.
        seconds: time after which no further repeat is begun, but for the first three.
        cool_down: seconds to rest after each repeat: small devices slow down when they get hot.
    """

    warm_up: int = 3
    repeats: int = 30
    seconds: float = 10.0
    cool_down: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError where nothing could be timed so."""
        if self.repeats < 1 or self.warm_up < 0:
            raise ValueError(f"cannot time {self.repeats} repeats after {self.warm_up} calls of warm-up")


@dataclass(frozen=True)
class Timing:
    """Wall-clock time of one call, in seconds.

    Attributes:
        median: of all repeats.
        p90: the time 9 of 10 repeats stayed within.
        p99: the same of 99 of 100; of fewer than 100 repeats, that of the slowest.
        minimum: the fastest repeat, nearest to what the code needs on an idle machine.
        spread: (p90 - minimum) / median; above about 0.2 something else was running.
        drift: median of the last third over that of the first, 1 for less than 6 repeats; well above 1 the machine grew
            slower, as hot ones do.
        repeats: calls timed.
        warm_up: calls made before, not timed.
        samples: all repeats, in order.
    """

    median: float
    p90: float
    p99: float
    minimum: float
    spread: float
    drift: float
    repeats: int
    warm_up: int
    samples: tuple[float, ...]

    def rate(self, work: float) -> float:
        """``work`` (operations per call) per second at the median."""
        return work / self.median

    def _repr_html_(self) -> str:
        """Return a table for notebooks, in milliseconds."""
        times = {"median": self.median, "p90": self.p90, "p99": self.p99, "fastest": self.minimum}
        return table(
            [f"{name}, ms" for name in times] + ["repeats"], [[*(1e3 * t for t in times.values()), self.repeats]]
        )


@dataclass(frozen=True)
class KernelTimes:
    """Seconds that the kernels of a library take on one thread.

    Attributes:
        size: height and width of the input picture.
        kernels: of all calls that a picture takes, by the kernel's name; in the order in which they run.
        whole: of the whole network.
    """

    size: tuple[int, int]
    kernels: Mapping[str, float]
    whole: float


def measure(
    call: Callable[[], object],
    plan: TimingPlan,
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> list[float]:
    """Return seconds of each repeat of ``call``, in order.

    Args:
        call: what to time; its result is dropped.
        plan: how often.
        clock: seconds of a monotonic clock.
        sleep: waits so many seconds.
    """
    for _ in range(plan.warm_up):
        call()
    times: list[float] = []
    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle of a call would be counted as the call's
    try:
        begin = clock()
        while len(times) < plan.repeats and (len(times) < min(3, plan.repeats) or clock() - begin < plan.seconds):
            start = clock()
            call()
            times.append(clock() - start)
            if plan.cool_down:
                sleep(plan.cool_down)
    finally:
        if collecting:
            gc.enable()
    return times


def in_turn(calls: Sequence[Callable[[], object]], plan: TimingPlan) -> tuple[list[float], ...]:
    """Return seconds of each repeat of calls that are made in turn: what the machine does besides meets all.

    Before each there is a rest: threads of other runtimes look for work for some milliseconds after their last, on
    cores that the next call needs.
    """
    once, rested = TimingPlan(warm_up=0, repeats=1), max(_REST, plan.cool_down)
    for _ in range(plan.warm_up):
        for call in calls:
            call()
    times: tuple[list[float], ...] = tuple([] for _ in calls)
    begin = time.perf_counter()
    while len(times[0]) < plan.repeats and (
        len(times[0]) < min(3, plan.repeats) or time.perf_counter() - begin < len(calls) * plan.seconds
    ):
        for call, found in zip(calls, times, strict=True):
            time.sleep(rested)
            found += measure(call, once)
    return times


def summarize(times: Sequence[float], *, warm_up: int = 0) -> Timing:
    """Return the figures of durations in seconds (not empty), in order; percentiles are the nearest rank's."""
    ordered, third = sorted(times), len(times) // 3
    median = statistics.median(ordered)
    p90, p99 = (ordered[math.ceil(share * len(ordered) / 100) - 1] for share in (90, 99))
    spread = (p90 - ordered[0]) / median if median else 0.0
    first = statistics.median(times[:third]) if third > 1 else 0.0
    drift = statistics.median(times[-third:]) / first if first else 1.0
    return Timing(median, p90, p99, ordered[0], spread, drift, len(ordered), warm_up, tuple(times))


def peak_memory() -> int:
    """Return the most memory this process has held so far, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that can be taken without swapping, in bytes; None where the system does not tell."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None
