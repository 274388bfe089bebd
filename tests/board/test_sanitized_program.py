"""The program without TVM under AddressSanitizer and UBSan: on what is right, and on what is damaged."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import watching
from tests.board.test_standalone import damage, scrambled
from toolchain.board import standalone
from toolchain.bundle import Bundle
from toolchain.targets.elf import read_library

pytestmark = pytest.mark.sanitizer

ENVIRONMENT = {**os.environ, **watching.SETTINGS}
NAME, ARRAY = "__tvm_ffi__library_bin", struct.pack("<Q", 0xDD5E40F096B4A13F)
EXTREMES = (0, 1, 5, 2**20, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
ENDINGS = (0, 1, 2, 6, 7, -6)
"""It went well, it said what is wrong (of the picture's size, of the processor), the picture came out otherwise, or the
library crashed."""


@pytest.fixture(scope="module")
def watched_folder(tmp_path_factory: pytest.TempPathFactory, real_bundle: Bundle) -> Path:
    """A pack whose program is watched, and linked as sanitizers want it."""
    watching.need()
    folder = tmp_path_factory.mktemp("watched") / "out"
    standalone.build_standalone(real_bundle, folder)
    sources = sorted(map(str, standalone._SOURCES.glob("*.c")))
    program = str(folder / standalone.PROGRAM)
    include = f"-I{standalone.SHARED}"
    command = ["cc", "-std=gnu11", *watching.FLAGS, "-pthread", include, *sources, "-lm", "-o", program]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def copy(watched_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(watched_folder, tmp_path / "copy"))


def run(folder: Path, *words: str) -> int:
    """The program's exit code, -6 where the library crashed: what was damaged may be its code."""
    command = [str(folder / standalone.PROGRAM), *(words or ("--size", "8x8", "--repeats", "1", "--threads", "1"))]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=120, env=ENVIRONMENT, check=False
    )
    crashed = re.search(r"AddressSanitizer: (SEGV|BUS)", done.stderr) and "/lite/" not in done.stderr.split("#1 ")[0]
    assert crashed or watching.complaints(done.stderr) == [], done.stderr[:3000]
    return done.returncode


def test_it_compares_and_times(watched_folder: Path):
    assert run(watched_folder) == 0


@pytest.mark.parametrize(
    "change",
    [
        damage(lambda data: data[:1000]),
        damage(lambda data: b""),
        damage(scrambled),
        damage(lambda data: data.replace(b"\0relax.VMExecutable", b"\0other.VMExecutable", 1)),
        damage(lambda data: data.replace(b"builtin.null_value", b"builtin.null_velue")),
    ],
)
def test_a_library_that_is_damaged(change: Callable[[Path], None], copy: Path):
    change(copy)
    assert run(copy) == 1


@pytest.mark.parametrize("data", [b"", b"P6", b"P6 0 8 255 ", b"P5 8 8 255 " + bytes(64), b"P6 3000 3000 255 x"])
@pytest.mark.parametrize("name", ["golden.ppm", "expected.ppm"])
def test_a_picture_that_is_damaged(name: str, data: bytes, copy: Path):
    (copy / name).write_bytes(data)
    assert run(copy) in (1, 7)


def test_words_that_cannot_be_meant(watched_folder: Path):
    for words in (["--size", "0x8"], ["--size", f"{2**31}x{2**31}"], ["--threads", "-1"], ["--repeats"], ["--" * 5000]):
        assert run(watched_folder, *words) == 2


def test_a_program_that_was_garbled(copy: Path):
    """One value at a time, of the tree of modules, of the functions, or of the instructions."""
    rng, path = random.Random(0), copy / "model.so"
    whole = path.read_bytes()
    start, size = carried(path)
    for _ in range(120):
        data = bytearray(whole)
        at = start + rng.choice((8 * rng.randrange(12), rng.randrange(16, 1200), size - 8 * rng.randrange(1, 800)))
        kind, value = rng.choice((("<B", rng.randrange(256)), ("<Q", rng.choice(EXTREMES))))
        struct.pack_into(kind, data, at, value)
        path.write_bytes(data)
        assert run(copy) in ENDINGS


def test_an_instruction_that_means_what_is_not_there(copy: Path):
    """Its function, its registers, its constants, or how many there are: a little too large, or much."""
    path = copy / "model.so"
    whole = path.read_bytes()
    start, size = carried(path)
    for word in range(1, 165):
        for value in (14, 27, 250):
            data = bytearray(whole)
            struct.pack_into("<I", data, start + size + 4 - 8 * word, value)
            path.write_bytes(data)
            assert run(copy) in ENDINGS


@pytest.mark.parametrize("which", [0, -1])
def test_a_constant_that_claims_another_size(which: int, copy: Path):
    """Its number of dimensions, its type, its sizes, and the size of its data."""
    path = copy / "model.so"
    whole = path.read_bytes()
    start, size = carried(path)
    at = [at for at in range(start, start + size - 64) if whole[at : at + 8] == ARRAY][which]
    (dimensions,) = struct.unpack_from("<I", whole, at + 24)
    for field, kind in ((24, "<I"), (28, "<I"), *((32 + 8 * axis, "<Q") for axis in range(dimensions + 1))):
        for value in EXTREMES:
            data = bytearray(whole)
            struct.pack_into(kind, data, at + field, value % 2 ** (8 * struct.calcsize(kind)))
            path.write_bytes(data)
            assert run(copy) == (data != whole)


def test_headers_that_speak_of_what_is_not_there(copy: Path):
    path = copy / "model.so"
    whole = path.read_bytes()
    for at, kind in fields(whole):
        for value in (5, 2**31, 2**63, 2**64 - 1):
            data = bytearray(whole)
            struct.pack_into(kind, data, at, value % 2 ** (8 * struct.calcsize(kind)))
            path.write_bytes(data)
            assert run(copy) in ENDINGS


def carried(path: Path) -> tuple[int, int]:
    """Where in a library's file its program begins, and its size."""
    data = read_library(path).bytes_from(NAME)
    return path.read_bytes().index(data[:64]), struct.unpack_from("<Q", data)[0]


def fields(library: bytes) -> Iterator[tuple[int, str]]:
    """Places of what a 64-bit library's headers say: tables, segments, names, relocations; each with its type."""
    segments, sections = struct.unpack_from("<QQ", library, 32)
    segment_count, _, section_count = struct.unpack_from("<HHH", library, 56)
    yield from ((32, "<Q"), (40, "<Q"), (56, "<H"), (60, "<H"))
    for at in range(segments, segments + 56 * segment_count, 56):
        if library[at] == 1:  # it is loaded
            yield from ((at + field, "<Q") for field in (8, 16, 32, 40))
    for at in range(sections, sections + 64 * section_count, 64):
        kind, offset, size = (
            struct.unpack_from(form, library, at + to)[0] for form, to in (("<I", 4), ("<Q", 24), ("<Q", 32))
        )
        if kind in (3, 4, 11):  # texts, relocations, names
            yield from ((at + field, "<Q") for field in (16, 24, 32))
            yield at + 40, "<I"
        if kind == 4:  # where the first and the last one are put, and the name that each means
            yield from (
                (one + field, form) for one in (offset, offset + size - 24) for field, form in ((0, "<Q"), (12, "<I"))
            )
        if kind == 11:  # a name's place among texts, and addresses
            yield offset + 24, "<I"
            yield from ((one + 8, "<Q") for one in range(offset, offset + size, 24) if library[one + 6])
