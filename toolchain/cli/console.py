"""What commands print: results on stdout (or one JSON document), progress on stderr, bars where it is a terminal."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from toolchain.cli.failure import Interrupted
from toolchain.support.errors import InputError
from toolchain.support.serialization import plain
from toolchain.support.signals import check_interrupted

P = ParamSpec("P")
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and warnings; of what was made only where it is.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="A line for everything that happens on the way.")]
MOST_THREADS = 1024
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=MOST_THREADS, help="Threads to use; default: every core.")
]

_BAR = 24


def guarded(command: Callable[P, T]) -> Callable[P, T]:
    """Let Ctrl-C in ``command`` reach ``main``."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise Interrupted from None

    return wrapper


class Console:
    """Prints for people or for programs.

    Args:
        as_json: results are one JSON document on stdout, and nothing else goes there.
        quiet: no progress is shown, and summaries are left out; warnings are not.
        verbose: what happens on the way is said in lines that stay.

    Raises:
        InputError: it is to be both quiet and verbose.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False, verbose: bool = False) -> None:
        if quiet and verbose:
            raise InputError("--quiet and --verbose are two things", hint="say one of them")
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose

    def say(self, text: str) -> None:
        """Print a line of the result, unless JSON was asked for."""
        if not self.as_json:
            print(text)

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Print what a command came to: a panel on a terminal, else a line for each row; ``title`` alone where quiet.

        Args:
            title: what was made.
            rows: what each line is about, shown on terminals, and the line.
        """
        if self.as_json:
            return
        if self.quiet or not sys.stdout.isatty():
            for line in [title, *(f"  {text}" for _, text in rows)][: 1 if self.quiet else None]:
                print(line)
            return
        from rich.console import Console as Terminal
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for label, text in rows:
            table.add_row(Text(label, style="dim"), Text(text))
        Terminal().print(Panel(table, title=Text(title, style="bold"), title_align="left", border_style="green"))

    def note(self, text: str) -> None:
        """Print a line of progress or a warning."""
        print(text, file=sys.stderr, flush=True)

    def info(self, text: str) -> None:
        """Print a line of progress, unless quiet."""
        if not self.quiet:
            self.note(text)

    def result(self, **values: Any) -> None:
        """Print the JSON document, if it was asked for."""
        self.document(values)

    def document(self, value: object) -> None:
        """Print a dataclass or a mapping as the JSON document, if that was asked for."""
        if self.as_json:
            print(json.dumps(plain(value), indent=1, default=str))

    @contextmanager
    def progress(self, total: float, *, eta: bool = False) -> Iterator[Callable[[str, float], None]]:
        """Yield ``tell(text, done)``: a bar on a terminal, otherwise a line for each text that is not empty.

        ``tell`` raises KeyboardInterrupt where a signal came and the work went on.

        Args:
            total: what ``done`` ends at.
            eta: show on the bar how long it will still take.
        """
        if self.quiet:
            yield lambda text, done: check_interrupted()
            return
        if not sys.stderr.isatty():
            seen: set[str] = set()

            def line(text: str, done: float) -> None:
                check_interrupted()
                if text and text not in seen:
                    seen.add(text)
                    self.note(text)

            yield line
            return
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        time = TimeRemainingColumn() if eta else TimeElapsedColumn()
        columns = (BarColumn(_BAR), TextColumn("{task.description}", markup=False), time)
        with Progress(*columns, console=Terminal(stderr=True), transient=True) as bars:
            task = bars.add_task("", total=total)

            def draw(text: str, done: float) -> None:
                check_interrupted()
                if self.verbose and text and text != bars.tasks[0].description:
                    bars.console.print(text, markup=False, highlight=False)
                bars.update(task, completed=done, description=text or None)

            yield draw


def decibel(value: float) -> str:
    """Return a PSNR for people: two decimals, "equal" where there is no difference."""
    return "  equal" if math.isinf(value) else f"{value:7.2f}"


def duration(seconds: float) -> str:
    """Return a span of time for people: ``duration(100)`` is "1.7 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def quantity(value: float, unit: str) -> str:
    """Return a number with an SI prefix: ``quantity(22e3, "MAC")`` is "22.0 kMAC"."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.1f} {prefix}{unit}"
    return f"{value:.0f} {unit}"
