"""Work spread over the cores by threads, for what leaves Python's lock: onnxruntime, NumPy on large arrays, decoders.

Results come in the order of what they are made of, so they do not depend on which thread was first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from toolchain.support.cpu import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], ahead: int | None = None) -> Iterator[Result]:
    """Yield ``work(item)`` for every item, in order; the first error of one is raised in its place.

    Args:
        work: called in other threads, for several items at once.
        items: taken as they are needed, in the calling thread.
        ahead: how many results are made at once, and wait, beside the one that was yielded; None: one a core.
    """
    ahead = ahead or usable_cores()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(ahead) as pool:
        try:
            for item in items:
                if len(waiting) < ahead:
                    waiting.append(pool.submit(work, item))
                    continue
                ready = waiting.popleft().result()
                waiting.append(pool.submit(work, item))
                yield ready
                del ready
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
