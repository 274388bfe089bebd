"""The command line: thin commands, one module each, and the one place where errors become sentences.

TVM, onnxruntime and NumPy are imported inside the commands, so that ``clipfree --help`` answers at once.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from toolchain import __version__
from toolchain.cli import (
    bench,
    board,
    demo,
    deploy,
    evaluate,
    fidelity,
    inspect,
    logs,
    represent,
    run,
    targets,
    tune,
    verify,
    zoo,
)
from toolchain.cli.console import Interrupted, guarded
from toolchain.errors import ClipfreeError, OutputError

_UNKNOWN, _OUT_OF_MEMORY, _INTERRUPTED = 70, 9, 130

app = typer.Typer(
    name="clipfree",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("deploy")(guarded(deploy.deploy))
app.command("run")(guarded(run.run))
app.command("evaluate")(guarded(evaluate.evaluate))
app.command("bench")(guarded(bench.bench))
app.command("verify")(guarded(verify.verify))
app.command("inspect")(guarded(inspect.inspect))
app.command("fidelity")(guarded(fidelity.fidelity))
app.command("represent")(guarded(represent.represent))
app.command("demo")(guarded(demo.demo))
app.command("tune")(guarded(tune.tune))
app.add_typer(targets.app, name="targets")
app.add_typer(board.app, name="board")
app.add_typer(zoo.app, name="zoo")
app.add_typer(logs.app, name="logs")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clipfree {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with every error.")] = False,
) -> None:
    """INT8 deployment of mobile super-resolution networks on Apache TVM, without the clip."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. An error is one sentence on stderr, and with --json a document."""
    if arguments is None:
        _end_tidily()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, as_json = "--debug" in words, "--json" in words
    try:
        app(args=[word for word in words if word != "--debug"], prog_name="clipfree")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (KeyboardInterrupt, Interrupted) as error:
        return _fail(error, "interrupted, nothing was left half-written", "", _INTERRUPTED, as_json, debug)
    except ClipfreeError as error:
        return _fail(error, error.message, error.hint, error.exit_code, as_json, debug)
    except MemoryError as error:
        hint = "use smaller tiles (--tile 256) or smaller pictures"
        return _fail(error, "this machine has too little memory for it", hint, _OUT_OF_MEMORY, as_json, debug)
    except BrokenPipeError:
        # The reader of a pipe left (| head); Python would complain once more when it flushes at exit.
        sys.stdout = None
        return 0
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        message = f"cannot use{place}: {error.strerror or error}" if place else str(error.strerror or error)
        return _fail(error, message, "", OutputError.exit_code, as_json, debug)
    except Exception as error:  # a mistake of ours, which the user should not have to read
        hint = "please report it, with what `clipfree --debug` prints on the same command"
        message = f"clipfree met a mistake of its own ({type(error).__name__}: {_first_line(error)})"
        return _fail(error, message, hint, _UNKNOWN, as_json, debug)
    return 0


def _end_tidily() -> None:
    """Take a termination, and the terminal's end, for Ctrl-C: files and tunnels would be left otherwise."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores the latter
            signal.signal(number, signal.default_int_handler)


def _fail(error: BaseException, message: str, hint: str, code: int, as_json: bool, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"clipfree: {message}{'; ' + hint if hint else ''}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"message": message, "hint": hint, "exit_code": code}}, indent=1))
    return code


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no message"
