"""A helper process that survives nothing: it answers one request after the other, and is replaced when it dies.

Requests and answers are lines of JSON. Importing TVM takes seconds, so a process is kept; compiling a candidate,
running it or talking to a board may crash or hang it, so it is not this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Literal

from toolchain.support.errors import ClipfreeError, last_line


class Died(Exception):  # noqa: N818
    """The process died over a request."""

    def __init__(self, status: Literal["crashed", "hung"], note: str) -> None:
        super().__init__(note)
        self.status, self.note = status, note


class Worker:
    """Starts the process when it is needed, again if it has died.

    Args:
        command: what to run.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None

    def ask(self, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Return the answer to ``request``.

        Raises:
            Died: the process crashed, or took more than ``limit`` seconds and was ended.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({**request, "limit": limit}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        raise self._died(limit)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
            # A session of its own: Ctrl-C is for the parent, which then ends the child.
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                start_new_session=True,
            )
        return self._process

    def _died(self, limit: float) -> Died:
        process, errors = self._process, self._errors
        assert process is not None
        assert errors is not None
        code = process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        if code == -signal.SIGALRM:
            return Died("hung", f"no answer within {limit:g} s")
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Died("crashed", f"{reason}{': ' + said[-1][:200] if said else ''}")


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """In the process: what is done here may take so long, and then the request's own limit runs on."""
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, left or seconds))
    begin = time.monotonic()
    try:
        yield
    finally:
        passed = time.monotonic() - begin
        signal.setitimer(signal.ITIMER_REAL, max(left - passed, 1e-3) if left else 0)


def answer(operations: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """In the process: answer the requests on stdin, each by the function its ``operation`` names, until it ends.

    What a function raises becomes ``{"status": "failed", "note": ..., "hint": ...}``.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what compilers and libraries print must not pass for an answer
    for line in sys.stdin:
        request = json.loads(line)
        # The alarm's default action ends the process wherever it is, also if its parent is long gone.
        signal.setitimer(signal.ITIMER_REAL, request["limit"])
        try:
            result = operations[request["operation"]](request)
        except ClipfreeError as error:
            result = {"status": "failed", "note": error.message, "hint": error.hint}
        except Exception as error:  # TVM raises many kinds
            result = {"status": "failed", "note": last_line(error)[:200], "hint": ""}
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(result), file=answers, flush=True)
