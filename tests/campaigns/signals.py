"""Signals at random moments of a deployment: it ends at once, and what was there before is whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from tests import sr_models
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.conftest import photograph
from toolchain.bundle import open_bundle

_COMMAND = [sys.executable, "-m", "toolchain.cli"]
_SIGNALS = (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
_PATIENCE = 60.0
"""Seconds within which a command must have ended, on a busy machine too."""


def trial(seed: int, folder: Path) -> Outcome:
    """Deploy over a bundle that is there or not, and send a signal after the time that ``seed`` says."""
    rng = np.random.default_rng([seed, 7])
    source, out = _sources(), folder / "out"
    bundle = out / "tiny.clipfree"
    before = rng.random() < 0.5
    words = [*_COMMAND, "deploy", str(source / "tiny.onnx"), "--calib", str(source / "photo.png"), "-o", str(out)]
    if before:
        subprocess.run(words, check=True, capture_output=True)
    number = _SIGNALS[rng.integers(len(_SIGNALS))]
    delay = float(rng.random() * _usual_seconds())
    begin = time.monotonic()
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_as_from_a_terminal,
    ) as process:
        time.sleep(delay)
        process.send_signal(number)
        sent = time.monotonic()
        try:
            _, errors = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Fault(f"{number.name} after {delay:.2f} s: still running {_PATIENCE:.0f} s later") from None
        took = time.monotonic() - sent
    said = f"{number.name} after {sent - begin:.2f} s: exit {process.returncode} {took:.2f} s later"
    _check(process.returncode, errors, number, said)
    hidden = sorted(entry.name for entry in out.glob(".*")) if out.exists() else []
    if hidden and number != signal.SIGKILL:
        raise Fault(f"{said}: left {hidden[0]}")
    if bundle.exists():
        open_bundle(bundle)
    elif before:
        raise Fault(f"{said}: the former bundle is gone")
    _no_process_left(process.pid, said)
    return Outcome("passed", said)


def _check(code: int, errors: str, number: signal.Signals, said: str) -> None:
    if number == signal.SIGKILL:
        return
    if "Traceback" in errors or "terminate called" in errors:
        raise Fault(f"{said}: a traceback\n{errors}")
    if code == -number:  # before the command's first line and after its last, a signal has its default effect
        return
    if code not in (0, 128 + number):
        raise Fault(f"{said}\n{errors}")
    if code and not re.search(r"^clipfree: interrupted", errors, re.MULTILINE):
        raise Fault(f"{said}, and it does not say that it was interrupted\n{errors}")


def _no_process_left(group: int, said: str) -> None:
    """Compilers and linkers that it started have ended too."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return
    time.sleep(2)
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
    raise Fault(f"{said}: a process of it lives on")


def _as_from_a_terminal() -> None:
    """Shells start jobs in the background with Ctrl-C ignored, which a child inherits."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@cache
def _sources() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="clipfree-signals-"))
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), folder / "tiny.onnx")
    Image.fromarray(photograph(60, 70, 0)).save(folder / "photo.png")
    return folder


@cache
def _usual_seconds() -> float:
    """How long the deployment takes on this machine, as busy as it is."""
    source = _sources()
    begin = time.monotonic()
    subprocess.run(
        [
            *_COMMAND,
            "deploy",
            str(source / "tiny.onnx"),
            "--calib",
            str(source / "photo.png"),
            "-o",
            str(source / "usual"),
        ],
        check=True,
        capture_output=True,
    )
    return time.monotonic() - begin


CAMPAIGN = Campaign(
    "signals", "signals at any moment: nothing half-written, nothing lost", trial, limit=300, share=2, sample=range(1)
)
