"""Standard streams as shells make them: closed, full, with a reader that leaves, without most characters."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

PROGRAM = f"{shlex.quote(sys.executable)} -m toolchain.cli"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which ``clipfree`` stands for the program; its exit code is that of the first command."""
    line = line.replace("clipfree", PROGRAM) + "; exit ${PIPESTATUS[0]}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environment}
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr, or none."""
    assert done.stderr.count("\n") <= 1
    return done.stderr.strip()


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("clipfree zoo list >&-", 0, ""),
        ("clipfree zoo list --json >&-", 8, "clipfree: the standard output is closed, and --json prints to it"),
        ("clipfree zoo list --json >/dev/full", 8, "cannot write to the standard output: No space left on device"),
        ("clipfree zoo list >/dev/full", 8, "cannot write to the standard output: No space left on device"),
        ("clipfree --help >/dev/full", 8, "cannot write to the standard output: No space left on device"),
        ("clipfree zoo show nothing >/dev/full", 2, "there is no embedded model called 'nothing'"),
        ("clipfree zoo show nothing 2>&-", 2, ""),
        ("clipfree zoo show nothing 2>/dev/full", 2, ""),
        ("clipfree zoo list <&- >&- 2>&-", 0, ""),
        ("clipfree zoo list | head -n 1", 0, ""),
        ("clipfree zoo list --json | true", 0, ""),
        ("clipfree --help | true", 0, ""),
    ],
)
def test_streams_that_cannot_be_written(line: str, code: int, said: str):
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(line)
    assert said in sentence(done)
    assert bool(said) == bool(done.stderr)
    assert done.returncode == code


def test_an_error_as_a_document_needs_no_stderr():
    done = shell("clipfree zoo show nothing --json 2>&-")
    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 2


def test_what_is_written_does_not_get_the_messages_of_a_closed_stream(tmp_path: Path):
    copy = tmp_path / "copy.onnx"
    assert shell(f"clipfree zoo export xlsr_x3 -o {copy} >&- 2>&-").returncode == 0
    original = shell("clipfree zoo export xlsr_x3 -o " + str(tmp_path / "again.onnx"))
    assert original.returncode == 0
    assert copy.read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_the_work_goes_on_when_the_reader_leaves(tmp_path: Path):
    made = tmp_path / "xlsr_x3.onnx"
    assert shell(f"clipfree zoo export xlsr_x3 -o {made} | true").returncode == 0
    assert made.is_file()


@pytest.mark.parametrize("name", ["größer.onnx", "大.onnx", "a\udcffb.onnx"])
def test_names_that_a_stream_cannot_show(tmp_path: Path, name: str):
    words = ["zoo", "export", "xlsr_x3", "-o", str(tmp_path / name)]
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.cli", *words],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.strip().endswith(b".onnx")
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("command", ["", "deploy", "run", "board serve", "targets"])
def test_help_without_frames_of_unicode(command: str):
    done = shell(f"clipfree {command} --help", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "Usage: clipfree" in done.stdout


def test_a_slow_reader_of_a_stream_that_does_not_block():
    """As programs leave pipes that run on node.js or over ssh."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    code = "import time; from toolchain.cli.streams import open_streams; open_streams(); print('x' * 300_000)"
    process = subprocess.Popen([sys.executable, "-c", code + "; import sys; sys.stdout.flush()"], stdout=writing)
    os.close(writing)
    got = 0
    while block := os.read(reading, 65536):
        got += len(block)
    os.close(reading)
    assert process.wait(timeout=30) == 0
    assert got == 300_001
