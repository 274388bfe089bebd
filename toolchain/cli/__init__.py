"""The command line: `app` names the commands, one module each; `main` runs one and answers errors by sentences; `start`
is the program.

Nothing that takes time is imported here, so that Ctrl-C is answered in order from the first moment on.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

from toolchain.cli.failure import explain
from toolchain.cli.streams import Streams, open_streams
from toolchain.support.signals import Interruption

_INTERRUPTED = 130


def start() -> NoReturn:
    """Be the program ``clipfree``: run the command of ``sys.argv`` and end the process."""
    interruption = Interruption()
    interruption.install()
    if "--debug" not in sys.argv:  # what libraries warn of is written for those who call them
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of processes that are started
    code = main(sys.argv[1:], interruption=interruption, streams=open_streams())
    interruption.over = True
    # The process is not taken apart: TVM would wait for its threads, and free its memory piece by piece. What others
    # have registered for the end (temporary files) is done.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def main(arguments: Sequence[str], *, interruption: Interruption | None = None, streams: Streams | None = None) -> int:
    """Run the command line; returns the exit code. An error is one sentence on stderr, and with --json a document.

    Args:
        arguments: the words after ``clipfree``.
        interruption: what handles signals, if something does.
        streams: what stands behind ``sys.stdout``, if it was opened here.
    """
    words = list(arguments)
    debug, as_json = "--debug" in words, "--json" in words
    try:
        if streams is not None:
            streams.check(as_json=as_json)
        from toolchain.cli.app import app
        from toolchain.cli.completion import answer_shells

        answer_shells()
        code = app(args=[word for word in words if word != "--debug"], prog_name="clipfree", standalone_mode=False)
        if code == _INTERRUPTED:  # what typer makes of Ctrl-C that comes while it works itself
            raise KeyboardInterrupt
        if streams is not None:
            streams.finish()
    except SystemExit as end:  # typer's, when it has completed a word
        code = end.code if isinstance(end.code, int) else 0
    except BaseException as error:
        if interruption is not None:
            interruption.over = True
        return _fail(error, interruption, as_json=as_json, debug=debug)
    return int(code or 0)


def _fail(error: BaseException, interruption: Interruption | None, *, as_json: bool, debug: bool) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # typer's: the help was printed
        return 2
    failure = explain(error, interruption.number if interruption else None)
    if debug:
        traceback.print_exception(error)
    print(f"clipfree: {failure}", file=sys.stderr)
    if as_json:
        document = {"message": failure.message, "hint": failure.hint, "exit_code": failure.code}
        print(json.dumps({"error": document}, indent=1))
    return failure.code
