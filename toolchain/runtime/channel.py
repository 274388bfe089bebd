"""Handing things from one thread to another, no more of them at a time than memory allows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818
    """The other side has given up."""


class Channel(Generic[T]):
    """A queue between two threads that is bounded in bytes.

    Args:
        limit: bytes that may wait in it; a thing that is larger by itself waits there alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._things: deque[tuple[T, int]] = deque()
        self._changed = threading.Condition()
        self._closed = self._stopped = False
        self._error: BaseException | None = None

    def put(self, thing: T, size: int = 0) -> None:
        """Hand on a thing of ``size`` bytes, waiting for room.

        Raises:
            Stopped: nobody will take it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._held or self._held + size <= self._limit)
            if self._stopped:
                raise Stopped
            self._things.append((thing, size))
            self._held += size
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Say that nothing follows; ``error`` is raised where things are taken."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Let whoever puts or takes give up."""
        with self._changed:
            self._stopped = True
            self._things.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take things until nothing follows.

        Raises:
            Stopped: the other side has given up.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._things or self._closed or self._stopped)
                if self._stopped:
                    raise Stopped
                if not self._things:
                    if self._error is not None:
                        raise self._error
                    return
                thing, size = self._things.popleft()
                self._held -= size
                self._changed.notify_all()
            yield thing
            del thing  # let go before the next one is waited for


def fill(channel: Channel[T], things: Iterator[T], size: Callable[[T], int]) -> None:
    """Hand things on, each of so many bytes, and an error that ends them; returns where nobody takes them."""
    try:
        for thing in things:
            channel.put(thing, size(thing))
            del thing
        channel.close()
    except Stopped:
        pass
    except BaseException as error:
        channel.close(error)
