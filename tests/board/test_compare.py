"""Networks compared on boards: several at once, and one that is gone costs its own rows only."""

from __future__ import annotations

import contextlib
import html
from pathlib import Path

from tests import boards
from tests.answers import document
from tests.boards import Running
from toolchain.board.tracker import entries
from toolchain.cli import main


def test_boards_beside_one_another(
    pack: Path, board: Running, model_file: Path, photo_folder: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    with boards.board(pack, tmp_path / "second") as second:
        words = ["compare", str(model_file), "--calib", str(photo_folder), "--precision", "int8", "--size", "12x16"]
        words += ["--repeats", "3", "--threads", "1", "--rpc", str(board.address), "--rpc", str(second.address)]
        words += ["--wait", "1", "-o", str(out), "--json"]
        second.kill()
        assert main(words) == 11
        here, gone = document(capsys)["rows"]
        assert here["place"] == f"the board at {board.address}"
        assert here["latency"]["source"] == "measured"
        assert here["failure"] is None
        assert gone["library_bytes"] == here["library_bytes"]
        assert gone["latency"] is None
        assert f"no board answers at {second.address}" in gone["failure"]["message"]
    with boards.board(pack, tmp_path / "third", port=second.address.port):
        assert main(words) == 0
        found = document(capsys)
        assert found["kept"] == 1
        assert [row["latency"]["source"] for row in found["rows"]] == ["measured", "measured"]


def test_boards_of_a_tracker(
    pack: Path, tracker: Running, model_file: Path, photo_folder: Path, tmp_path: Path, capsys
) -> None:
    words = ["compare", str(model_file), "--calib", str(photo_folder), "--precision", "int8", "--size", "12x16"]
    words += ["--repeats", "3", "--threads", "1", "--wait", "5", "-o", str(tmp_path / "out"), "--json"]
    words += ["--tracker", str(tracker.address), "--key", "desk", "--key", "shelf"]
    with contextlib.ExitStack() as farm:
        for key in ("desk", "shelf"):
            named = ("--tracker", str(tracker.address), "--key", key)
            farm.enter_context(boards.board(pack, tmp_path / key, *named))
        boards.until(lambda: len(entries(tracker.address)) == 2)
        assert main(words) == 0
        rows = document(capsys)["rows"]
    assert [row["latency"]["source"] for row in rows] == ["measured", "measured"]
    assert [row["latency"]["times"][0]["repeats"] for row in rows] == [3, 3]
    assert all(key in row["place"] for key, row in zip(("desk", "shelf"), rows, strict=True))
    page = html.unescape((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert all(row["place"] in page for row in rows)
