"""Campaigns that go wrong in every way, to see that it is noticed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.campaign import Campaign, Fault, Outcome
from toolchain.support.errors import ModelError, VerificationError


def _writes(then: Callable[[int], Outcome | None]) -> Callable[[int, Path], Outcome]:
    """A trial that writes its input first, then misbehaves at every odd seed."""

    def trial(seed: int, folder: Path) -> Outcome:
        (folder / "input").write_text(str(seed))
        return (then(seed) if seed % 2 else None) or Outcome("passed")

    return trial


def _raises(error: Exception) -> Callable[[int], Outcome]:
    def fail(_seed: int) -> Outcome:
        raise error

    return fail


_TRIALS: dict[str, Callable[[int], Outcome | None]] = {
    "crash": lambda seed: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda seed: time.sleep(600),
    "fills memory": lambda seed: Outcome("passed", str(len(bytearray(2**50)))),
    "traceback": _raises(KeyError("mul_19")),
    "wrong bits": _raises(VerificationError("they differ")),
    "fault": _raises(Fault("three words more\nand details")),
    "blames itself": _raises(ModelError("it differs", hint="this is a fault of clipfree: please report it")),
    "foreign text": _raises(ModelError("[ONNXRuntimeError] : 1 : FAIL")),
    "refusal": _raises(ModelError("the model pads by reflection", hint="pad with zeros")),
}

CAMPAIGNS = {
    name: Campaign(name, name, _writes(then), limit=20 if name != "hang" else 0.5, share=1, sample=range(2))
    for name, then in _TRIALS.items()
}
