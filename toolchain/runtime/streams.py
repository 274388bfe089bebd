"""Several pictures at once: how many a second are made when each of several threads runs a network of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Call = Callable[[], object]


def throughput(make: Callable[[], Call], streams: int, *, seconds: float, warm_up: int) -> float:
    """Return calls a second of all streams together.

    Args:
        make: makes what a stream calls, in the thread of that stream.
        streams: how many.
        seconds: how long; every stream ends the call that it has begun.
        warm_up: calls before, of each.

    Raises:
        What ``make`` or its calls raise.
    """
    ready = threading.Barrier(streams)

    def run() -> tuple[float, float, int]:
        try:
            call = make()
            for _ in range(max(1, warm_up)):
                call()
        except BaseException:
            ready.abort()
            raise
        ready.wait()
        begin, count = time.perf_counter(), 0
        while not count or time.perf_counter() - begin < seconds:
            call()
            count += 1
        return begin, time.perf_counter(), count

    with ThreadPoolExecutor(streams) as pool:
        running = [pool.submit(run) for _ in range(streams)]
    errors = [error for one in running if (error := one.exception()) is not None]
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    found = [one.result() for one in running]
    return sum(count / (end - begin) for begin, end, count in found)
