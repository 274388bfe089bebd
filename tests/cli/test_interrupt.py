"""Ctrl-C in the middle of a deployment and where it is hard to hear; progress on a terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolchain.cli import main
from toolchain.support.signals import Interruption

# The stand-in compiler says that it has begun by making a file, then takes long.
SLOW = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with Ctrl-C ignored
from tests.standin import StandIn, standing_in
from toolchain.cli import start

class Slow(StandIn):
    def export(self, path, linker, name, geometry):
        path.write_bytes(b"half a library")
        begun.touch()
        time.sleep(60)

begun = Path(sys.argv.pop(1))
with standing_in(compiled=Slow):
    start()
"""

QUICK = """
import sys
from tests.standin import standing_in
from toolchain.cli import start

with standing_in():
    start()
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
    assert process.returncode == 128 + number
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


@pytest.fixture
def interruption(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interruption]:
    """Handles signals as the program does; those who handled them before get them back."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    handler = Interruption()
    handler.install()
    yield handler
    for number, old in handlers.items():
        signal.signal(number, old)


def turned_into_another() -> None:
    """As TVM does with what its callbacks raise."""
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        raise RuntimeError from None


def swallowed() -> None:
    """As C++ does that tries and goes on."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def in_a_destructor() -> None:
    """Where Python can only drop it."""

    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    thing = Dying()
    del thing
    time.sleep(20)  # the work that goes on


def while_it_is_put_away() -> None:
    """Ctrl-C again, of somebody in a hurry."""
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("happens", [turned_into_another, swallowed, in_a_destructor, while_it_is_put_away])
def test_an_interrupt_that_is_hard_to_hear(
    happens: Callable[[], None],
    interruption: Interruption,
    stand_in_bundle: Path,
    photo_folder: Path,
    tmp_path: Path,
    without_compiler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    from toolchain.images import Photo
    from toolchain.runtime import batch

    upscale = batch.upscale_photo

    def interrupted(*given: object, **named: object) -> Photo:
        happens()
        return upscale(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(batch, "upscale_photo", interrupted)
    words = ["run", str(stand_in_bundle), str(photo_folder / "photo0.png"), str(photo_folder / "photo1.png")]
    code = main([*words, "-o", str(tmp_path / "out")], interruption=interruption)
    assert code == 128 + signal.SIGTERM
    assert capsys.readouterr().err.splitlines()[-1] == "clipfree: interrupted, nothing was left half-written"
    assert not any(path.name.endswith(".partial") for path in tmp_path.rglob("*"))


def test_an_interrupt_before_the_command_begins(
    interruption: Interruption, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("toolchain.cli.app.app", lambda **_: 130)  # what typer returns of a Ctrl-C that it has met
    interruption.number = signal.SIGHUP
    assert main(["zoo", "list"], interruption=interruption) == 128 + signal.SIGHUP
    assert capsys.readouterr().err == "clipfree: interrupted, nothing was left half-written\n"


def test_what_ignores_the_terminals_end_goes_on_doing_so(interruption: Interruption):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Interruption().install()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
