"""Ctrl-C in the middle of a deployment, and progress on a terminal: in processes of their own, as a user has them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# The stand-in compiler says that it has begun by making a file, then takes long.
SLOW = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with Ctrl-C ignored
import toolchain.deploy.line
from tests.standin import StandIn, stages
from toolchain.cli import main

class Slow(StandIn):
    def export(self, path, linker):
        path.write_bytes(b"half a library")
        begun.touch()
        time.sleep(60)

toolchain.deploy.line.real_stages = lambda: stages(compile=lambda *given: Slow(given[0]))
begun = Path(sys.argv.pop(1))
sys.exit(main())
"""

QUICK = """
import sys
import toolchain.deploy.line
from tests.standin import stages
from toolchain.cli import main

toolchain.deploy.line.real_stages = stages
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_ended_leaves_nothing(number: signal.Signals, model_file: Path, photo_folder: Path, tmp_path: Path):
    begun, out = tmp_path / "begun", tmp_path / "out"
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(begun), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        limit = time.monotonic() + 60
        while not begun.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert list(out.iterdir())  # something is being written
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "clipfree: interrupted, nothing was left half-written"
    assert "Traceback" not in errors
    assert list(out.iterdir()) == []


def test_bars_on_a_terminal(model_file: Path, photo_folder: Path, tmp_path: Path):
    pty = pytest.importorskip("pty")
    terminal, inner = pty.openpty()
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", QUICK, *words], stdout=subprocess.PIPE, stderr=inner, env=environment, text=True
    )
    os.close(inner)
    drawn = b""
    try:
        while block := os.read(terminal, 4096):
            drawn += block
    except OSError:  # Linux says so when the other end has been closed
        pass
    finally:
        os.close(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "integer coverage" in out
    assert "━" in drawn.decode()
    assert "\x1b[" in drawn.decode()
