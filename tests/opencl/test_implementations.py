"""Other implementations of OpenCL than PoCL: Mesa's rusticl, which boards with Mali or V3D have, and Oclgrind, a device
in software that sees invalid accesses, races and the use of what was never written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyopencl", reason="OpenCL kernels run through pyopencl")

ROOT = Path(__file__).parents[2]


def run(words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*words],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )


def test_rusticl():
    done = run([sys.executable, "-m", "tests.opencl.other", "opencl-cpu:rusticl"], RUSTICL_ENABLE="llvmpipe")
    if "OpenCL finds no CPU called 'rusticl'" in done.stderr or "there is no OpenCL" in done.stderr:
        pytest.skip("Mesa's rusticl is not installed here (mesa-opencl-icd)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("equal on llvmpipe")


@pytest.mark.skipif(shutil.which("oclgrind") is None, reason="oclgrind is not installed here")
def test_oclgrind_finds_no_invalid_access_no_race_and_nothing_uninitialized(tmp_path: Path):
    log = tmp_path / "log"
    words = ["oclgrind", "--data-races", "--uninitialized", "--check-api", "--max-errors", "10", "--log", str(log)]
    done = run([*words, sys.executable, "-m", "tests.opencl.other", "opencl-cpu:oclgrind", "written"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("equal on Oclgrind")
    assert log.read_text().strip() == ""


@pytest.mark.skipif(shutil.which("oclgrind") is None, reason="oclgrind is not installed here")
def test_oclgrind_finds_no_invalid_access_and_no_race_in_float_kernels(tmp_path: Path):
    """It stops at an instruction of theirs that it does not know where it looks for the uninitialized."""
    log = tmp_path / "log"
    words = ["oclgrind", "--data-races", "--check-api", "--max-errors", "10", "--log", str(log)]
    done = run([*words, sys.executable, "-m", "tests.opencl.other", "opencl-cpu:oclgrind", "floats"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("equal on Oclgrind")
    assert log.read_text().strip() == ""
