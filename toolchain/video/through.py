"""Frames through a network: the next is decoded while one is enlarged and the one before is encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from toolchain.runtime.channel import Channel, Stopped, fill
from toolchain.runtime.memory import WAITING


class Sized(Protocol):
    """Something that takes memory."""

    @property
    def nbytes(self) -> int:
        """How many bytes."""


Read = TypeVar("Read", bound=Sized)
Made = TypeVar("Made", bound=Sized)


def through(
    frames: Iterator[Read], enlarge: Callable[[Read], Made], write: Callable[[Iterator[Made]], None]
) -> Iterator[None]:
    """Enlarge frames; yields after each one. What comes out is the caller's to count.

    Args:
        frames: taken in a thread of their own.
        enlarge: called by the calling thread only.
        write: takes all enlarged frames, in a thread of its own.

    Raises:
        What any of the three raises; what has been written by then stays.
    """
    read, made = Channel[Read](WAITING), Channel[Made](WAITING)

    def written() -> None:
        try:
            write(iter(made))
        except Stopped:
            pass
        except BaseException:
            made.stop()
            raise

    with ThreadPoolExecutor(2) as pool:
        pool.submit(fill, read, frames, lambda frame: frame.nbytes)
        writing = pool.submit(written)
        try:
            for frame in read:
                large = enlarge(frame)
                made.put(large, large.nbytes)
                del frame, large
                yield
            made.close()
        except Stopped:  # the error of the thread that writes is raised below
            pass
        except BaseException as error:
            made.close(error) if isinstance(error, Exception) else made.stop()
            raise
        finally:
            read.stop()
        writing.result()
