"""The page on the C interface: its program runs, and its table is what the header has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interface.formats import Kind, laid_out, made, random_planes
from tests.interface.library import NV12
from toolchain.backends.c_sources import SHARED
from toolchain.backends.open import load as load_bundle
from toolchain.bundle import Bundle

PAGE = (Path(__file__).parents[2] / "docs" / "c-interface.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("size", [(9, 15), (16, 10)])
def test_the_program(size: tuple[int, int], bundle: Bundle, tmp_path: Path):
    (code,) = re.findall(r"```c\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "nv12.c").write_text(code)
    (command,) = re.findall(r"`(cc [^`]*nv12)`", PAGE)
    words = command.replace("model.clipfree", str(bundle.path)).replace("'", "").split()
    subprocess.run([*words, "-Wall", "-Wextra", "-Werror", "-pedantic"], check=True, cwd=tmp_path)
    shutil.copy(bundle.path / "model.so", tmp_path)
    kind, run = Kind(NV12, "bt709"), load_bundle(bundle).upscale
    frames = [random_planes(kind, *size, seed) for seed in range(3)]
    given = b"".join(plane.tobytes() for frame in frames for plane in laid_out(frame, kind))
    program = [str(tmp_path / "nv12"), *map(str, size)]
    done = subprocess.run(program, input=given, capture_output=True, check=True)
    expected = [laid_out(made(frame, kind, kind, run, 3, bundle.manifest.scale), kind) for frame in frames]
    assert done.stdout == b"".join(plane.tobytes() for frame in expected for plane in frame)
    empty = subprocess.run([program[0], "0", "7"], input=b"", capture_output=True, check=False)
    assert empty.returncode == 1
    assert empty.stderr == b"nv12: a picture has a size that the network does not take\n"


def test_every_format_is_in_the_table():
    header = (SHARED / "clipfree.h").read_text(encoding="utf-8")
    formats = re.search(r"typedef enum clipfree_format \{(.*?)\}", header, flags=re.DOTALL)
    assert formats
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `CLIPFREE_"))
    known = re.findall(r"(CLIPFREE_\w+) = \d", formats[1])
    assert len(known) == 11
    assert set(known) == set(re.findall(r"CLIPFREE_\w+", table))


def test_numbers_stay_what_they_are():
    """Programs that were compiled with an older header hold them."""
    header = (SHARED / "clipfree.h").read_text(encoding="utf-8")
    names = ("GREY", "RGB", "BGR", "PLANAR", "RGBA", "BGRA", "NV12", "NV21", "I420", "P010", "I010")
    for number, name in enumerate(names, start=1):
        assert re.search(rf"CLIPFREE_{name} = {number}\b", header)
    assert "#define CLIPFREE_ABI 1\n" in header
