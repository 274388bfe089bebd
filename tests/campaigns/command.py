"""The ``clipfree`` command called in this process, and its answer judged as its user would."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.campaign import Fault, Outcome, refused
from toolchain.cli import main

_DISAGREED, _MEMORY, _OWN_MISTAKE = 7, 9, 70


@dataclass(frozen=True)
class Answer:
    """What a command gave back.

    Attributes:
        words: of the command.
        code: its exit code.
        out: stdout.
        said: stderr, with a traceback of every error.
        warned: Python's warnings, which would appear as raw text.
    """

    words: tuple[str, ...]
    code: int
    out: str
    said: str
    warned: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The error, without the program's name; empty if there was none."""
        return self.said.rpartition("\nclipfree: ")[2].strip() if self.code else ""


def clipfree(*words: str | Path) -> Answer:
    """Call the command with ``words``."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        texts = tuple(str(word) for word in words)
        code = main(["--debug", *texts])
    noted = tuple(
        f"{w.category.__name__}: {w.message} ({Path(w.filename).name}, line {w.lineno})"
        for w in warned
        if not _harmless(w)
    )
    return Answer(texts, code, out.getvalue(), "\n" + errors.getvalue(), noted)


def judge(answer: Answer, *, may_disagree: bool = False) -> Outcome:
    """A command that went well passes, one that ends in a sentence is refused.

    Args:
        answer: of the command.
        may_disagree: whether a library may differ from its reference: where one of the two was replaced.

    Raises:
        Fault: it ended otherwise.
    """
    command = " ".join(answer.words)
    if answer.code == _OWN_MISTAKE:
        raise Fault(f"{answer.sentence[:300]} <- {command}\n{answer.said}")
    if answer.code == _DISAGREED and may_disagree:
        return Outcome("refused", answer.sentence)
    if answer.code == _DISAGREED:
        raise Fault(f"wrong bits: {answer.sentence[:300]} <- {command}")
    if answer.code == _MEMORY:
        raise Fault(f"memory ran out <- {command}\n{answer.said}")
    if answer.warned:
        raise Fault(f"warned: {answer.warned[0][:200]} <- {command}")
    if answer.code == 0:
        return Outcome("passed", command)
    if not answer.sentence:
        raise Fault(f"exit {answer.code} without a sentence <- {command}\n{answer.said}")
    outcome = refused(answer.sentence, answer.said)
    if outcome.verdict == "failed":
        raise Fault(f"{outcome.note} <- {command}\n{answer.said}")
    return outcome


def _harmless(warning: warnings.WarningMessage) -> bool:
    """Whether Python hides it from users by itself."""
    hidden = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
    return issubclass(warning.category, hidden)
