"""How far a command is, in steps: a bar that names the step that runs where there is a terminal, else plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from toolchain.cli.console import Console, duration
from toolchain.support.signals import check_interrupted

_SECONDS = 10.0
"""Between lines about a step that runs on."""
_KNOWN = 0.05
"""Share of the work from which on one can say how long the rest will take."""
_BAR = 24


class Steps(Protocol):
    """Shows them. Both methods raise KeyboardInterrupt where a signal came and the work went on."""

    def running(self, text: str, share: float, detail: str = "", part: float = 0.0) -> None:
        """Say what runs.

        Args:
            text: the step.
            share: of the whole that is done, 0 to 1.
            detail: what happens in the step.
            part: of the step that is done, 0 to 1; 0 as long as that is not known.
        """

    def finished(self, text: str, share: float) -> None:
        """Say what came out of a step."""


class Left:
    """Tells how long the rest will take: as long as what was done, share for share.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begin = clock, clock()
        self._end: float | None = None

    def done(self, share: float) -> None:
        """Take note of a share that is done."""
        now = self._clock()
        self._end = now + (now - self._begin) * (1 - share) / share if share >= _KNOWN else None

    def __str__(self) -> str:
        """For people; empty as long as nothing is known, and where it is over."""
        left = 0.0 if self._end is None else self._end - self._clock()
        return f"about {duration(left)} left" if left >= 1 else ""


class Lines:
    """A line for every step that is finished, and now and then one for that which runs; where the console is verbose,
    one for everything that happens.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock, self._left = console, clock, Left(clock)
        self._last, self._said = clock(), ""

    def running(self, text: str, share: float, detail: str = "", part: float = 0.0) -> None:
        """See ``Steps``."""
        check_interrupted()
        self._left.done(share)
        line = f"{text}: {detail}" if detail else text
        if self._console.verbose and line != self._said:
            self._said = line
            self._say(line)
        elif self._clock() - self._last >= _SECONDS:
            self._say(", ".join(filter(None, [line, f"{100 * share:.0f} % of all done", str(self._left)])))

    def finished(self, text: str, share: float) -> None:
        """See ``Steps``."""
        check_interrupted()
        self._left.done(share)
        self._say(text)

    def _say(self, text: str) -> None:
        self._last = self._clock()
        self._console.note(text)


class Silent:
    """Shows nothing."""

    def running(self, text: str, share: float, detail: str = "", part: float = 0.0) -> None:
        """See ``Steps``."""
        check_interrupted()

    def finished(self, text: str, share: float) -> None:
        """See ``Steps``."""
        check_interrupted()


@contextmanager
def show_steps(console: Console) -> Iterator[Steps]:
    """Yield what shows steps on stderr: on a terminal a bar for all, and below it one for the step that runs."""
    if console.quiet:
        yield Silent()
        return
    if not sys.stderr.isatty():
        yield Lines(console)
        return
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
    from rich.text import Text

    left = Left()

    class LeftColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.id else str(left))

    columns = (BarColumn(_BAR), TaskProgressColumn(), TextColumn("{task.description}", markup=False), LeftColumn())
    with Progress(*columns, console=Terminal(stderr=True), transient=True) as bars:
        whole = bars.add_task("", total=1.0)
        inner = bars.add_task("", total=None, visible=False)

        class Bars:
            said = ""

            def running(self, text: str, share: float, detail: str = "", part: float = 0.0) -> None:
                check_interrupted()
                left.done(share)
                bars.update(whole, completed=share, description=text)
                # Without a part that is known, its bar moves to and fro.
                bars.update(
                    inner, total=1.0 if part else None, completed=part, description=detail, visible=bool(detail)
                )
                if console.verbose and detail and detail != self.said:
                    self.said = detail
                    self._keep(f"{text}: {detail}")

            def finished(self, text: str, share: float) -> None:
                self.running(text, share)
                if console.verbose:
                    self._keep(text)

            def _keep(self, line: str) -> None:
                bars.console.print(line, markup=False, highlight=False)

        yield Bars()
