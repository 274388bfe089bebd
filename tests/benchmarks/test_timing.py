"""What is made of times."""

from __future__ import annotations

import pytest

from timing import GoneError, measure, spread, summarize


def test_rounds_take_turns() -> None:
    order: list[str] = []

    def call(name: str, value: float) -> float:
        order.append(name)
        return value

    series, gone = measure({"a": lambda: call("a", 1.0), "b": lambda: call("b", 2.0)}, 3)
    assert order == ["a", "b"] * 3
    assert series == {"a": [1.0] * 3, "b": [2.0] * 3}
    assert gone == {}


def test_who_dies_is_not_called_again() -> None:
    calls: list[int] = []

    def dying() -> float:
        calls.append(1)
        if len(calls) == 2:
            raise GoneError("signal SIGSEGV")
        return 5.0

    series, gone = measure({"own": lambda: 1.0, "dying": dying}, 4)
    assert len(calls) == 2
    assert series == {"own": [1.0] * 4}
    assert gone == {"dying": "signal SIGSEGV"}


def test_ratios_are_taken_round_by_round() -> None:
    # The machine slows down by ten between the rounds: each ratio is still 2.
    figures = summarize({"own": [1.0, 10.0, 100.0], "rival": [2.0, 20.0, 200.0]}, 2)
    assert [f.name for f in figures] == ["own", "rival"]
    assert (figures[1].ratio, figures[1].ratio_quartiles) == (2.0, (2.0, 2.0))
    assert (figures[1].fastest, figures[1].median, figures[1].threads) == (2.0, 20.0, 2)
    assert figures[1].p90 == pytest.approx(164.0)


def test_spread_is_quartiles() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5) == (2.0, 3.0, 4.0)


def test_nobody_was_timed() -> None:
    assert summarize({}, 1) == []
