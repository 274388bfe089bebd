"""Networks compared on boards: several at once, and one that is gone costs its own rows only."""

from __future__ import annotations

from pathlib import Path

from tests import boards
from tests.answers import document
from tests.boards import Running
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
