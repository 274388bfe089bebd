"""Conversions of pixels make the same bytes with every processor's vectors as without any."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.arm import emulator
from toolchain.backends.c_sources import EXACT, SHARED, quick_flags
from toolchain.support.cpu import this_cpu
from toolchain.targets import find_target
from toolchain.targets.linker import find_c_compiler

PROGRAM = Path(__file__).with_name("conversions.c")
NAMES = ("bicubic", "colours", "convert", "failure", "formats", "picture", "pixels", "plan", "rows")
SOURCES = (PROGRAM, *(SHARED / f"{name}.c" for name in NAMES))

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


def made(folder: Path, compiler: Sequence[str], flags: Sequence[str], emulated: Sequence[str] = ()) -> str:
    """What the program says when it is compiled so."""
    program = folder / "conversions"
    words = ("-std=c11", *EXACT, "-Wall", "-Wextra", "-Werror", f"-I{SHARED}", *flags)
    subprocess.run([*compiler, *words, *map(str, SOURCES), "-o", str(program)], check=True)
    done = subprocess.run([*emulated, str(program)], check=True, capture_output=True, text=True, timeout=600)
    return done.stdout


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What this machine makes pixel by pixel."""
    return made(tmp_path_factory.mktemp("plain"), ["cc"], ("-O1", "-DSHUFFLES=0"))


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("x86-sse4", "sse4_1"),
        ("x86-avx2", "avx2"),
        pytest.param("aarch64", None, marks=pytest.mark.emulator),
        pytest.param("cortex-a7", None, marks=pytest.mark.emulator),
    ],
)
def test_vectors(name: str, feature: str | None, plain: str, tmp_path: Path):
    target = find_target(name)
    if feature and feature not in this_cpu().features:
        pytest.skip(f"needs a processor with {feature}")
    emulated = [] if feature else emulator(target)
    compiler = find_c_compiler(target.triple).command
    assert made(tmp_path, compiler, quick_flags(target)["pixels.c"], emulated) == plain
