"""Several pictures at once: all streams are counted, each makes its own network, and an error of one is told."""

from __future__ import annotations

import threading
import time

import pytest

from toolchain.runtime.streams import throughput


def test_all_streams_count():
    made: list[int] = []

    def make():
        made.append(threading.get_ident())
        return lambda: time.sleep(0.02)

    alone, together = (throughput(make, count, seconds=0.3, warm_up=1) for count in (1, 4))
    assert len(made) == 5
    assert together > 1.5 * alone  # sleeping takes no processor


def test_an_error_of_one_stream_ends_all():
    turn = iter(range(3))

    def make():
        if next(turn) == 1:
            raise ValueError("no network")
        return lambda: None

    with pytest.raises(ValueError, match="no network"):
        throughput(make, 3, seconds=0.1, warm_up=0)


def test_one_call_at_least():
    assert throughput(lambda: lambda: None, 2, seconds=0.0, warm_up=0) > 0
