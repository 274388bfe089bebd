"""Ctrl-C and its kin: remembered, so that a command ends for them whatever becomes of the exception; held back while
something is put away.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a supervisor, the terminal's end
_PATIENCE = 3.0
"""Seconds that are given to putting things away: who presses Ctrl-C twice shall not leave half of a folder behind."""
_AGAIN = 0.05


class Interruption:
    """A signal handler that raises KeyboardInterrupt and remembers that it did.

    The exception may not arrive: raised in a function that TVM calls it becomes an error of TVM's, raised in a
    destructor Python throws it away.

    Attributes:
        number: of the signal that came; None as long as none did.
        over: set when there is nothing left to interrupt; signals are ignored then.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.over = False
        self._since = 0.0

    def install(self) -> None:
        """Handle SIGINT, SIGTERM and SIGHUP from now on; one that is ignored (nohup) stays ignored."""
        for number in _numbers():
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self)
        sys.unraisablehook = self._thrown_away

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle the signal ``number``: the first one, and again if the program goes on for seconds after it."""
        if self.over or (self.number is not None and time.monotonic() - self._since < _PATIENCE):
            return
        self.number, self._since = number, time.monotonic()
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise the exception once more where a signal came and the program went on all the same."""
        if self.number is not None:
            raise KeyboardInterrupt

    def _thrown_away(self, unraisable: Any) -> None:
        """Send the signal again: its exception was raised where Python could only drop it."""
        if self.number is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)
            return
        self._since = -math.inf
        again = threading.Timer(_AGAIN, signal.pthread_kill, (threading.main_thread().ident, self.number))
        again.daemon = True
        again.start()


def check_interrupted() -> None:
    """Raise KeyboardInterrupt if an `Interruption` handled a signal and its exception was lost; to be called where work
    goes on that should have ended.
    """
    for number in _numbers():
        handler = signal.getsignal(number)
        if isinstance(handler, Interruption):
            handler.check()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals that Python code handles wait until the block has ended: for putting things away.

    Does nothing outside of the main thread, which is the only one that signals disturb.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: handler for number in _numbers() if callable(handler := signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _frame: waiting.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for waited in waiting:
            signal.raise_signal(waited)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
