"""The figures of a timing, computed on known durations."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from toolchain.runtime.measure import TimingPlan, free_memory, measure, peak_memory, summarize


class Clock:
    """A clock that a call advances by the durations it was given."""

    def __init__(self, *durations: float) -> None:
        self.now, self.durations, self.calls = 0.0, list(durations), 0

    def __call__(self) -> float:
        return self.now

    def call(self) -> None:
        self.now += self.durations[min(self.calls, len(self.durations) - 1)]
        self.calls += 1


def test_warm_up_does_not_count():
    clock = Clock(9.0, 9.0, 1.0, 3.0, 2.0)
    timing = summarize(measure(clock.call, TimingPlan(warm_up=2, repeats=3), clock=clock), warm_up=2)
    assert (timing.median, timing.minimum, timing.p90, timing.repeats, timing.warm_up) == (2.0, 1.0, 3.0, 3, 2)
    assert timing.spread == pytest.approx(1.0)
    assert timing.rate(10.0) == pytest.approx(5.0)


def test_stops_when_the_time_is_over_but_not_before_three():
    clock = Clock(6.0)
    plan = TimingPlan(warm_up=0, repeats=50, seconds=10.0)
    assert len(measure(clock.call, plan, clock=clock)) == 3
    clock = Clock(2.0)
    assert len(measure(clock.call, plan, clock=clock)) == 5


def test_it_rests_after_each_repeat():
    clock, rests = Clock(1.0), []
    assert measure(clock.call, TimingPlan(warm_up=1, repeats=3, cool_down=7.0), clock=clock, sleep=rests.append) == [
        1,
        1,
        1,
    ]
    assert rests == [7.0] * 3


@pytest.mark.parametrize(
    ("times", "drift"),
    [([1.0, 9.0, 1.0, 1.5, 1.5, 1.5], 0.3), ([1.0, 1.0, 1.0, 2.0, 3.0, 3.0], 3.0), ([1.0, 2.0, 3.0, 4.0, 5.0], 1.0)],
)
def test_a_machine_that_grows_slower_drifts(times: list[float], drift: float):
    assert summarize(times).drift == pytest.approx(drift)


def test_p90_is_the_nearest_rank():
    assert summarize([float(i) for i in range(1, 11)]).p90 == 9.0
    assert summarize([4.0]).p90 == 4.0
    assert summarize([float(i) for i in range(200, 0, -1)]).p99 == 198.0
    assert summarize([2.0, 9.0, 1.0]).p99 == 9.0
    assert summarize([2.0, 9.0, 1.0]).samples == (2.0, 9.0, 1.0)


def test_collection_is_back_on_after_a_failure():
    def fail() -> None:
        assert not gc.isenabled()
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        measure(fail, TimingPlan(warm_up=0))
    assert gc.isenabled()


@pytest.mark.parametrize("numbers", [{"repeats": 0}, {"warm_up": -1}])
def test_senseless_numbers(numbers: dict[str, int]):
    with pytest.raises(ValueError, match="cannot time"):
        TimingPlan(**numbers)


def test_peak_memory_is_plausible():
    assert peak_memory() > 10 * 2**20


def test_free_memory(tmp_path: Path):
    info = tmp_path / "meminfo"
    info.write_text("MemTotal:  100 kB\nMemAvailable:    42 kB\n")
    assert free_memory(info) == 42 * 1024
    info.write_text("nothing of it")
    assert free_memory(info) is None
    assert free_memory(tmp_path / "absent") is None
