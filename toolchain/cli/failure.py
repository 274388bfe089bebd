"""What a command failed of, as one sentence, a hint and an exit code."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from toolchain.support.errors import ClipfreeError, OutputError

_USAGE, _OUT_OF_MEMORY, _UNKNOWN = 2, 9, 70
_SIGNALLED = 128  # as shells have it, the number of the signal is added


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C, carried past typer, which would answer it by itself."""


@dataclass(frozen=True)
class Failure:
    """What is wrong, what to do about it (empty where nothing can be advised), and the exit code."""

    message: str
    hint: str
    code: int

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


def explain(error: BaseException, number: int | None = None) -> Failure:
    """Say what ``error`` means to the user.

    Args:
        error: what came out of a command.
        number: of the signal that came meanwhile; whatever ``error`` is then, it is what became of the interrupt.
    """
    if number is not None or isinstance(error, KeyboardInterrupt | Interrupted):
        return Failure("interrupted, nothing was left half-written", "", _SIGNALLED + (number or signal.SIGINT))
    if isinstance(error, ClipfreeError):
        return Failure(error.message, error.hint, error.exit_code)
    if hasattr(error, "format_message"):  # typer's, or click's where typer is older: their classes have no common name
        return Failure(error.format_message().rstrip("."), _advice(error), _USAGE)
    if isinstance(error, MemoryError):
        hint = "use smaller tiles (--tile 256) or smaller pictures"
        return Failure("this machine has too little memory for it", hint, _OUT_OF_MEMORY)
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        message = f"cannot use {error.filename}: {reason}" if error.filename else reason
        return Failure(message, "", OutputError.exit_code)
    # A mistake of ours, which the user should not have to read.
    lines = str(error).strip().splitlines() or ["no message"]
    return Failure(
        f"clipfree met a mistake of its own ({type(error).__name__}: {lines[0][:200]})",
        "please report it, with what `clipfree --debug` prints on the same command",
        _UNKNOWN,
    )


def _advice(error: BaseException) -> str:
    """Return what to do about words that typer does not understand."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command", None)
    takes_calib = any("--calib" in option.opts for option in getattr(command, "params", ()))
    if takes_calib and "unexpected extra argument" in str(error):
        return "photographs are named by --calib"
    return f"`{getattr(context, 'command_path', 'clipfree')} --help` tells what it takes"
