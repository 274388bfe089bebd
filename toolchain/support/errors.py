"""Every error a user can meet. Each carries a hint (what to do) and the exit code of the command line."""

from __future__ import annotations


class ClipfreeError(Exception):
    """Base of all errors that are answered by a sentence, never by a traceback.

    Args:
        message: what is wrong, naming the file or value at fault; one sentence without a final period.
        hint: what to do about it; empty where nothing can be advised.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class InputError(ClipfreeError):
    """A file or value given by the user cannot be used."""

    exit_code = 2


class ModelError(InputError):
    """The model is damaged, unsafe, or not a super-resolution network this toolchain can deploy."""

    exit_code = 3


class TooSmallError(InputError):
    """A picture is so small that nothing is left of it within the network."""


class CalibrationError(InputError):
    """The calibration images, or the ranges found with them, cannot be used."""

    exit_code = 4


class TargetError(ClipfreeError):
    """Unknown or unusable target, missing CPU feature, or no linker."""

    exit_code = 5


class BundleError(ClipfreeError):
    """A bundle is damaged, foreign, of another version, or not for this machine."""

    exit_code = 6


class VerificationError(ClipfreeError):
    """The compiled library and the integer reference disagree."""

    exit_code = 7


class OutputError(ClipfreeError):
    """An output could not be written; nothing half-written is left behind."""

    exit_code = 8


class TuningError(ClipfreeError):
    """Tuning cannot go on here, or a tuning log is damaged, or made for another target or compiler."""

    exit_code = 10


class BoardError(ClipfreeError):
    """A board cannot be reached, is busy, cannot run what it is given, or was lost on the way."""

    exit_code = 11


class QualityError(ClipfreeError):
    """A network loses more than was allowed; what was made is there all the same."""

    exit_code = 12


def last_line(error: Exception) -> str:
    """Return the last line of what an exception of another library says: TVM puts the reason there; else the type's
    name.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
