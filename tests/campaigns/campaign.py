"""What a campaign is: trials that are drawn from seeds, each of which ends in one outcome."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolchain.support.errors import ClipfreeError, VerificationError

Verdict = Literal["passed", "refused", "skipped", "failed"]

_OURS = ("fault of clipfree", "report it")
"""Words of the sentences by which the toolchain says that it is wrong itself."""
_FOREIGN = (
    "[ONNXRuntimeError]",
    "onnxruntime_src",
    "[ShapeInferenceError]",
    "Traceback",
    "TVMError",
    "InternalError",
    ".cc:",
    "0x7f",
    "==> ",
    "std::",
    "Disco",
    "Check failed",
)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        verdict: it went well; it was answered by one of our errors; this machine cannot try it; or a fault was found.
        note: one line for people.
        details: more of a fault, such as a traceback.
    """

    verdict: Verdict
    note: str = ""
    details: str = ""


@dataclass(frozen=True)
class Campaign:
    """Trials of one kind.

    Attributes:
        name: what the user types.
        about: one line for people.
        trial: tries ``seed`` in an empty folder, into which it first writes what it tries; what it raises is judged by
            `judged`.
        limit: seconds after which a trial hangs.
        share: of the time of a run, against the other campaigns'.
        sample: the seeds that the tests try.
    """

    name: str
    about: str
    trial: Callable[[int, Path], Outcome]
    limit: float
    share: float
    sample: range


class Fault(Exception):
    """A trial found something wrong that raised nothing by itself."""


def judged(trial: Callable[[], Outcome]) -> Outcome:
    """The outcome of a trial whose exceptions are judged: one of our errors is a refusal, any other a fault."""
    try:
        return trial()
    except VerificationError as error:
        return Outcome("failed", f"wrong bits: {error}", traceback.format_exc())
    except ClipfreeError as error:
        return refused(str(error), traceback.format_exc())
    except Fault as fault:
        return Outcome("failed", str(fault), traceback.format_exc())
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return Outcome("failed", f"{type(error).__name__}: {lines[0][:200]}", traceback.format_exc())


def refused(sentence: str, details: str = "") -> Outcome:
    """A refusal, unless the sentence is no sentence of ours, or says that the toolchain is at fault."""
    wrong = not_a_sentence(sentence)
    if wrong:
        return Outcome("failed", f"{wrong}: {sentence[:300]}", details)
    return Outcome("refused", sentence)


def not_a_sentence(text: str) -> str:
    """What is wrong with a message for users; empty if nothing is."""
    if any(words in text for words in _OURS):
        return "the toolchain says that it is at fault"
    if "\n" in text.strip():
        return "more than one line"
    if any(words in text for words in _FOREIGN):
        return "another library's text"
    return ""
