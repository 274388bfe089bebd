"""Work in threads: in order, errors in their place, no more of it than was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from toolchain.support.parallel import in_order


def test_results_come_in_the_order_of_the_items() -> None:
    def work(item: int) -> int | None:
        time.sleep(0.01 * (3 - item % 4))
        return None if item == 2 else item

    assert list(in_order(work, range(9), ahead=4)) == [0, 1, None, 3, 4, 5, 6, 7, 8]


def test_an_error_comes_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    results = in_order(work, range(9), ahead=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_no_more_is_begun_than_may_wait() -> None:
    begun: list[int] = []
    before = threading.active_count()

    def items() -> Iterator[int]:
        for item in range(100):
            begun.append(item)
            yield item

    results = in_order(lambda item: item, items(), ahead=2)
    assert next(results) == 0
    assert len(begun) == 3
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
