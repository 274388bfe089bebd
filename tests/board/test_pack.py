"""The folder for a board: complete, found again, and refused where it cannot be made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.boards import listening
from toolchain.board.board import Board
from toolchain.board.pack import LIBRARIES, SERVER, build_pack, find_compiler
from toolchain.board.place import Place
from toolchain.support.errors import InputError, TargetError
from toolchain.targets import find_target


def test_it_is_small_and_complete(pack: Path):
    assert {path.name for path in pack.iterdir()} == {SERVER, *LIBRARIES}
    assert os.access(pack / SERVER, os.X_OK)
    assert sum(path.stat().st_size for path in pack.iterdir()) < 10e6


def test_this_machine_as_a_board(pack: Path, tmp_path: Path):
    command = [sys.executable, "-m", "toolchain.cli", "board", "serve", "--port", "0", "--memory", "4000"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(pack.parents[2])}  # where the server is already
    with listening(command, tmp_path / "log", env=environment) as board, Board(Place(board.address)) as there:
        assert there.round_trip() < 1


def test_no_libraries_for_the_board(tmp_path: Path):
    with pytest.raises(InputError, match=r"holds no libtvm_runtime\.so; it must hold"):
        build_pack("aarch64-linux-gnu", tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("triple", "name"), [("aarch64-linux-android", "Android"), ("armv7a-linux-gnueabihf", "32-bit Arm")]
)
def test_no_wheels_for_the_board(triple: str, name: str, tmp_path: Path):
    with pytest.raises(InputError, match=rf"no wheels of TVM for {name}; `clipfree board pack BUNDLE` makes .*--libra"):
        build_pack(triple, tmp_path / "out")


def test_it_replaces_nothing_else(tmp_path: Path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds something else than a board's server; choose another place"):
        build_pack("aarch64-linux-gnu", tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TargetError, match=r"no C\+\+ compiler for aarch64-linux-gnu .*apt install g\+\+-aarch64"):
        find_compiler("aarch64-linux-gnu")
    with pytest.raises(TargetError, match=r"no C\+\+ compiler for arm.*apt install g\+\+-arm-linux-gnueabihf`"):
        find_compiler("armv7a-linux-gnueabihf")
    with pytest.raises(TargetError, match=r"no C\+\+ compiler for Android .*set CXX to clang\+\+ of Android's NDK"):
        find_compiler("aarch64-linux-android")
    with pytest.raises(TargetError, match=r"no C\+\+ compiler for"):
        find_compiler(find_target("host").triple)


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in LIBRARIES:
        (tmp_path / name).write_bytes(b"no library")
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(TargetError, match=r"server\.cc does not compile with false: it said nothing"):
        build_pack(find_target("host").triple, tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()
