"""A linker is found or its absence explained; the same objects give the same bytes."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

import pytest

from toolchain.support.errors import TargetError
from toolchain.targets import Target, find_target, list_targets
from toolchain.targets import linker as link
from toolchain.targets.linker import Linker, find_linker

TRIPLE = "x86_64-linux-gnu"
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture
def no_zig(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(link.importlib.util, "find_spec", lambda name: None)


def program(folder: Path, name: str, script: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("no_zig")
def test_none_says_the_line_to_install(tmp_path: Path):
    with pytest.raises(
        TargetError, match=r"there is no linker for x86_64-linux-gnu.*pip install ziglang.*apt install gcc"
    ):
        find_linker(TRIPLE, environment={"PATH": str(tmp_path)})


@pytest.mark.usefixtures("no_zig")
def test_none_for_a_board_says_the_cross_compiler(tmp_path: Path):
    for triple, package in (
        ("aarch64-linux-gnu", "aarch64-linux-gnu"),
        ("aarch64-linux-android", "aarch64-linux-gnu"),
        ("armv7a-linux-gnueabihf", "arm-linux-gnueabihf"),
    ):
        with pytest.raises(TargetError, match=f"no linker for {triple}.*apt install binutils-{package}`"):
            find_linker(triple, environment={"PATH": str(tmp_path)})


@pytest.mark.usefixtures("no_zig")
@pytest.mark.parametrize("name", ["arm-linux-gnueabihf-ld", "ld.lld"])
def test_a_bare_linker_will_do_for_a_board(tmp_path: Path, name: str):
    found = program(tmp_path, name)
    linker = find_linker("armv7a-linux-gnueabihf", environment={"PATH": str(tmp_path)})
    assert (linker.command, linker.flags[:2]) == ((str(found),), ("-shared", "--build-id=none"))


def test_cc_for_this_machine_is_not_asked_to_link_for_a_board(tmp_path: Path):
    own, cross = tmp_path / "own", tmp_path / "cross"
    own.write_text("#!/bin/sh\necho x86_64-linux-gnu\n")
    cross.write_text("#!/bin/sh\necho aarch64-unknown-linux-gnu\n")
    for path in (own, cross):
        path.chmod(0o755)
    ld = program(tmp_path, "aarch64-linux-gnu-ld")
    for cc, found in ((own, ld), (cross, cross)):
        linker = find_linker("aarch64-linux-gnu", environment={"PATH": str(tmp_path), "CC": str(cc)})
        assert linker.command == (str(found),)


@pytest.mark.usefixtures("no_zig")
@pytest.mark.parametrize(
    ("triple", "said", "taken"),
    [
        ("aarch64-linux-android", "aarch64-linux-gnu", False),  # it would need glibc there
        ("aarch64-linux-android", "aarch64-unknown-linux-android30", True),
        ("aarch64-linux-gnu", "aarch64-unknown-linux-android30", False),
        ("aarch64-linux-gnu", "aarch64-poky-linux", True),
        ("armv7a-linux-gnueabihf", "arm-linux-gnueabi", False),
        ("armv7a-linux-gnueabihf", "armv7l-unknown-linux-gnueabihf", True),
        ("x86_64-windows-gnu", "x86_64-pc-linux-gnu", False),  # a Linux user's own compiler
        ("x86_64-windows-gnu", "x86_64-w64-mingw32", True),
    ],
)
def test_cc_for_another_system_is_not_asked_either(triple: str, said: str, *, taken: bool, tmp_path: Path):
    cc = program(tmp_path, "mycc")
    cc.write_text(f"#!/bin/sh\necho {said}\n")
    beside = program(tmp_path, f"{link.gnu(triple)}-gcc")
    linker = find_linker(triple, environment={"PATH": str(tmp_path), "CC": str(cc)})
    assert linker.command == (str(cc if taken else beside),)
    assert ("-fPIC" in linker.flags) == ("windows" not in triple)


def test_zig_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(link.importlib.util, "find_spec", lambda name: object())
    linker = find_linker(TRIPLE, environment={"PATH": str(tmp_path)})
    assert linker.command[1:] == ("-m", "ziglang", "cc", "-target", TRIPLE)
    assert "-nostdlib" not in linker.flags


@pytest.mark.parametrize(("triple", "divides"), [("aarch64-linux-gnu", False), ("armv7a-linux-gnueabihf", True)])
def test_zig_brings_the_divisions_that_a_board_calls(tmp_path: Path, monkeypatch, triple: str, divides: bool):
    monkeypatch.setattr(link.importlib.util, "find_spec", lambda name: object())
    linker = find_linker(triple, environment={"PATH": str(tmp_path)})
    assert "-nostdlib" in linker.flags
    assert ("-lcompiler_rt" in linker.flags) == divides


@pytest.mark.usefixtures("no_zig")
def test_a_compiler_on_the_path_is_found(tmp_path: Path):
    found = program(tmp_path, "clang")
    assert find_linker(TRIPLE, environment={"PATH": str(tmp_path)}).command == (str(found),)


def test_cc_of_the_environment_wins(tmp_path: Path):
    program(tmp_path, "cc")
    program(tmp_path, "mycc")
    linker = find_linker(TRIPLE, environment={"PATH": str(tmp_path), "CC": "mycc -m64"})
    assert linker.command == ("mycc", "-m64")


def test_cc_that_is_not_there(tmp_path: Path):
    with pytest.raises(TargetError, match=r"\$CC names nosuchcc.*correct or unset CC"):
        find_linker(TRIPLE, environment={"PATH": str(tmp_path), "CC": "nosuchcc"})


def test_a_failing_linker_is_quoted(tmp_path: Path):
    linker = Linker((str(program(tmp_path, "ld", "echo first >&2; echo 'wrong format' >&2; exit 1")),), TRIPLE, "test")
    with pytest.raises(TargetError, match="failed: wrong format"):
        linker(str(tmp_path / "x.so"), [])


def test_a_full_disk_is_no_linker_mistake(tmp_path: Path):
    script = "echo 'ld: final link failed: No space left on device' >&2; exit 1"
    with pytest.raises(OSError, match="No space left"):
        Linker((str(program(tmp_path, "ld", script)),), TRIPLE, "test")(str(tmp_path / "x.so"), [])


def test_output_for_another_machine_is_refused(tmp_path: Path):
    script = 'while [ "$1" != "-o" ]; do shift; done; printf "not an ELF file, just text" > "$2"'
    with pytest.raises(TargetError, match="does not make libraries for x86_64-linux-gnu"):
        Linker((str(program(tmp_path, "ld", script)),), TRIPLE, "test").check(find_target("x86-sse4"))


@needs_cc
def test_links_and_twice_gives_the_same_bytes(tmp_path: Path):
    linker = find_linker(TRIPLE, environment={"PATH": os.environ["PATH"]})
    libraries = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        source = tmp_path / name / f"{name}.c"
        source.write_text("int answer(void) { return 42; }\n")
        libraries.append(tmp_path / name / "lib.so")
        linker(str(libraries[-1]), [str(source)])
    assert libraries[0].read_bytes() == libraries[1].read_bytes()
    assert ctypes.CDLL(str(libraries[0])).answer() == 42
    assert str(linker.check(find_target("x86-sse4"))) == "ELF 64-bit x86_64 shared library"


ARM = [target for target in list_targets() if "linux" in target.triple and not target.triple.startswith("x86_64")]


@pytest.mark.parametrize("target", ARM, ids=lambda target: target.name)
def test_links_for_every_board(target: Target):
    try:
        linker = find_linker(target.triple)
    except TargetError as error:
        pytest.skip(str(error))
    floats = "hard" if target.triple.endswith("hf") else "soft"
    bits = (
        f"32-bit arm shared library, {floats} float" if "armv7a" in target.triple else "64-bit aarch64 shared library"
    )
    assert str(linker.check(target)) == f"ELF {bits}"
