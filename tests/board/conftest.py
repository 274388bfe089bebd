"""A board on this machine, a tracker that knows one, and a real bundle for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.board import boards
from tests.board.boards import Running
from tests.standin import QUICK
from toolchain.board.pack import build_pack
from toolchain.board.tracker import entries
from toolchain.bundle import Bundle, open_bundle
from toolchain.targets import find_target


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server and its libraries for this machine."""
    if not boards.have_compiler:
        pytest.skip("there is no C++ compiler here")
    out = tmp_path_factory.mktemp("pack") / "board"
    build_pack(find_target("host").triple, out)
    return out


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Bundle:
    """A small XLSR, compiled for this machine."""
    from toolchain.deploy import Request, deploy

    out = tmp_path_factory.mktemp("bundle")
    return open_bundle(deploy(Request(model_file, out, photo_folder, settings=QUICK)).path)


@pytest.fixture
def board(pack: Path, tmp_path: Path) -> Iterator[Running]:
    with boards.board(pack, tmp_path / "board") as running:
        yield running


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    pytest.importorskip("tornado", reason="the tracker needs tornado")
    with boards.tracker(tmp_path) as running:
        yield running


@pytest.fixture
def registered(pack: Path, tmp_path: Path, tracker: Running) -> Iterator[Running]:
    """A board that the tracker knows as "pi"."""
    words = ["--tracker", str(tracker.address), "--key", "pi"]
    with boards.board(pack, tmp_path / "board", *words) as running:
        boards.until(lambda: entries(tracker.address))
        yield running
