"""What a file is, by its first bytes."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from tests import elves
from toolchain.support.errors import TargetError
from toolchain.targets.elf import check_library, read_elf, read_library


def header(machine: int, bits: int = 64, kind: int = 3, flags: int = 0, order: int = 1) -> bytes:
    start = b"\x7fELF" + bytes([bits // 32, order, 1]) + bytes(9) + struct.pack("<HHI", kind, machine, 1)
    words = "<IIII" if bits == 32 else "<QQQI"
    return (start + struct.pack(words, 0, 0, 0, flags)).ljust(64, b"\0")


@pytest.mark.parametrize(
    ("data", "triple", "sentence"),
    [
        (header(183), "x86_64-linux-gnu", "is a library for aarch64, 64 bits, not for x86_64-linux-gnu"),
        (header(62), "aarch64-linux-android", "is a library for x86_64"),
        (header(40, 32, flags=0x5000200), "armv7a-linux-gnueabihf", "passes floats in integer registers"),
        (header(183, kind=1), "aarch64-linux-gnu", "is not a shared library"),
        (b"!<arch>\n", "aarch64-linux-gnu", "is not a shared library"),
        (header(62, order=2), "x86_64-linux-gnu", "is not a shared library"),
        (header(62)[:30], "x86_64-linux-gnu", "is not a shared library"),
    ],
)
def test_what_cannot_be_loaded_is_refused(tmp_path: Path, data: bytes, triple: str, sentence: str):
    (tmp_path / "x.so").write_bytes(data)
    with pytest.raises(TargetError, match=sentence):
        check_library(tmp_path / "x.so", triple)


def test_what_can_be_loaded_is_described(tmp_path: Path):
    path = tmp_path / "x.so"
    path.write_bytes(header(40, 32, flags=0x5000400))
    assert str(check_library(path, "armv7a-linux-gnueabihf")) == "ELF 32-bit arm shared library, hard float"
    path.write_bytes(header(243))
    assert str(read_elf(path)) == "ELF 64-bit riscv shared library"


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "aarch64-linux-android", "armv7a-linux-gnueabihf"])
def test_what_a_library_defines_and_needs(triple: str, tmp_path: Path):
    path = tmp_path / "x.so"
    path.write_bytes(elves.library(triple, ("one", "two"), ("memcpy", "expf"), b"what it holds"))
    check_library(path, triple)
    found = read_library(path)
    assert (set(found.defines), found.needs) == ({"one", "two"}, {"memcpy", "expf"})
    assert found.bytes_from("two") == b"what it holds"
    assert found.bytes_from("three") == b""


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "armv7a-linux-gnueabihf"])
def test_a_library_that_is_cut_off_is_seen_wherever_it_ends(triple: str, tmp_path: Path):
    whole, path = elves.library(triple, ("one",), ("memcpy",), b"what it holds"), tmp_path / "x.so"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(TargetError, match=r"is cut off or damaged: its headers speak of what is not there|\(ELF\)"):
            check_library(path, triple)


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "armv7a-linux-gnueabihf"])
def test_a_library_that_is_damaged_is_read_or_refused(triple: str, tmp_path: Path):
    whole, path, rng = elves.library(triple, ("one",), ("memcpy",), b"held"), tmp_path / "x.so", random.Random(0)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 4))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        path.write_bytes(data)
        try:
            read_library(path)
        except TargetError:
            refused += 1
    assert 40 < refused < 380
