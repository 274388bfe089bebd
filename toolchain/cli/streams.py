"""The standard streams: whatever a shell made of them, printing to them raises nothing and loses no work."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from toolchain.support.errors import OutputError


class Sink(io.FileIO):
    """An open file descriptor to write to. What cannot be written is dropped, and why is remembered.

    Attributes:
        failure: the first error that was met.
    """

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write ``data``, bytes; returns how many were taken, all of them after a failure."""
        written = None
        while self.failure is None and written is None:
            try:
                written = super().write(data)
                if written is None:  # the descriptor does not block, and its reader is slow
                    select.select([], [self], [])
            except OSError as error:
                self.failure = error
        return len(data) if written is None else written


@dataclass(frozen=True)
class Streams:
    """What stands behind ``sys.stdout``, and whether the shell had closed it (``>&-``)."""

    output: Sink
    closed: bool

    def finish(self) -> None:
        """Write what is still buffered.

        Raises:
            OutputError: something could not be written to stdout. A reader that has left (``| head``) is none.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        failure = self.output.failure
        if failure is not None and failure.errno != errno.EPIPE:
            raise OutputError(
                f"cannot write to the standard output: {failure.strerror or failure}",
                hint="free some space; files that the command has made are complete",
            )

    def check(self, *, as_json: bool) -> None:
        """See whether a document asked for by --json can be printed.

        Raises:
            OutputError: the standard output is closed.
        """
        if as_json and self.closed:
            raise OutputError("the standard output is closed, and --json prints to it", hint="send it to a file with >")


def open_streams() -> Streams:
    """Put streams in the place of ``sys.stdout`` and ``sys.stderr`` that raise nothing, and open those that are closed.

    A closed descriptor would be given to the next file that is opened, and TVM's warnings written into that file.
    Characters that the encoding of a stream lacks are written as backslashes and numbers.
    """
    closed = [descriptor for descriptor in range(3) if not _is_open(descriptor)]
    for descriptor in closed:
        found = os.open(os.devnull, os.O_RDWR)
        if found != descriptor:
            os.dup2(found, descriptor)
            os.close(found)
        os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (as long as the process)
    output, errors = Sink(1, "w", closefd=False), Sink(2, "w", closefd=False)
    sys.stdout, sys.stderr = _text(output, sys.stdout, output.isatty()), _text(errors, sys.stderr, True)
    return Streams(output, 1 in closed)


def _text(sink: Sink, old: TextIO | None, by_line: bool) -> io.TextIOWrapper:
    encoding = "utf-8" if old is None else old.encoding
    return io.TextIOWrapper(io.BufferedWriter(sink), encoding, errors="backslashreplace", line_buffering=by_line)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
