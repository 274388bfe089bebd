"""Tuning on boards: they crash, hang, vanish, come back and miscount, and the run goes on."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import boards
from tests.boards import Running
from tests.tune.specs import conv, task
from toolchain.board.place import Place
from toolchain.board.tracker import entries
from toolchain.cli import main
from toolchain.kernels.tile import Tile
from toolchain.schedules.database import find_log
from toolchain.schedules.records import Trial
from toolchain.schedules.task import Task, normal
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import BoardError, TargetError
from toolchain.targets import find_target
from toolchain.tune.builder import LocalBuilder
from toolchain.tune.remote import BoardRunner, BoardsRunner, open_boards
from toolchain.tune.runner import Timed

SSE4 = find_target("x86-sse4")
TASK = Task(normal(conv(8, 8)), 12, 40, 1)
needs_sse4 = pytest.mark.skipif(
    bool(SSE4.missing_on(this_cpu())) or shutil.which("cc") is None, reason="needs SSE4 and a C compiler"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel that works."""
    builder = LocalBuilder(SSE4, tmp_path_factory.mktemp("libraries"), 1)
    try:
        (built,) = builder.build(TASK, [Tile(2, 4)])
    finally:
        builder.close()
    assert built.library is not None
    return built.library


@pytest.fixture
def runner(board: Running) -> Iterator[BoardRunner]:
    made = BoardRunner("sse4", Place(board.address), wait=15)
    yield made
    made.close()


def bad(tmp_path: Path, code: str) -> Path:
    return boards.bad_library(tmp_path / "bad.so", code)


@needs_sse4
def test_candidates_that_crash_or_hang(
    runner: BoardRunner, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    good, other = runner.time(TASK, [library, library], 3)
    assert (good.status, other.status) == ("ok", "ok")
    assert len(good.seconds) == len(other.seconds) == 3
    assert 0 < good.best < 1
    (crashed,) = runner.time(TASK, [bad(tmp_path, "__builtin_trap();")], 3)
    assert (crashed.status, crashed.note) == ("crashed", "the session on the board ended: Illegal instruction")
    monkeypatch.setattr("toolchain.tune.runner.LIMIT", 2.0)
    (hung,) = runner.time(TASK, [bad(tmp_path, "for (;;) pause();")], 1)
    assert hung.status == "hung"
    assert "no answer within" in hung.note


@needs_sse4
def test_a_board_that_reboots_and_one_that_does_not_come_back(
    runner: BoardRunner, library: Path, board: Running, pack: Path, tmp_path: Path
):
    boards_runner = BoardsRunner([runner], lambda text: None)
    assert boards_runner.time(TASK, [library], 1)[0].status == "ok"
    board.kill()
    with ThreadPoolExecutor() as pool:
        result = pool.submit(boards_runner.time, TASK, [library], 2)
        time.sleep(1)
        with boards.board(pack, tmp_path / "again", port=board.address.port) as again:
            assert [one.status for one in result.result()] == ["ok"]
            runner.wait = 1
            again.kill()
    with pytest.raises(BoardError, match=r"board at .* was lost: no board answers .* --resume goes on"):
        boards_runner.time(TASK, [library], 1)


class FakeBoard:
    """Times by its own speed; ``fates`` of libraries, or of everything."""

    def __init__(self, name: str, speed: float = 1.0, fates: Mapping[str, str] | None = None, lost: int = 99) -> None:
        self.board = SimpleNamespace(address=name)
        self.speed, self.fates, self.lost = speed, dict(fates or {}), lost
        self.shares: list[list[str]] = []
        self.closed = False

    def time(self, _task: Task, libraries: Sequence[Path], rounds: int) -> list[Timed]:
        if len(self.shares) >= self.lost:
            raise BoardError(f"{self.board.address} was lost")
        self.shares.append([str(library) for library in libraries])
        return [self.one(str(library), rounds) for library in libraries]

    def one(self, library: str, rounds: int) -> Timed:
        status: Any = self.fates.get(library, self.fates.get("all", "ok"))
        seconds = float(library.removeprefix("l")) / self.speed
        return Timed(status, (seconds,) * rounds) if status == "ok" else Timed(status, note="4 of 9 values differ")

    def close(self) -> None:
        self.closed = True


NUMBERS = [10, 4, 5, 6, 7, 8, 9]
LIBRARIES = [Path(f"l{number}") for number in NUMBERS]


def deal(*fakes: FakeBoard) -> tuple[list[Timed], list[str]]:
    notes: list[str] = []
    runner = BoardsRunner(fakes, notes.append)  # type: ignore[arg-type]
    return runner.time(task(), LIBRARIES, 3), notes


def test_work_is_shared_and_times_compare():
    slow, fast = FakeBoard("slow"), FakeBoard("fast", speed=2.0)
    timed, notes = deal(slow, fast)
    assert [one.best for one in timed] == pytest.approx(NUMBERS)
    assert (slow.shares, fast.shares) == ([["l10", "l4", "l6", "l8"]], [["l10", "l5", "l7", "l9"]])
    assert notes == []


def test_a_contest_is_held_on_one_board():
    one, other = FakeBoard("one"), FakeBoard("other")
    BoardsRunner([one, other], lambda text: None).time(task(), LIBRARIES[:5], 3)  # type: ignore[list-item]
    assert (one.shares, other.shares) == ([["l10", "l4", "l5", "l6", "l7"]], [])


def test_the_share_of_a_lost_board_goes_to_the_others():
    good, gone = FakeBoard("good"), FakeBoard("gone", lost=0)
    timed, notes = deal(good, gone)
    assert [one.status for one in timed] == ["ok"] * 7
    assert good.shares == [["l10", "l4", "l6", "l8"], ["l10", "l5", "l7", "l9"]]
    assert notes == ["left out: gone was lost"]
    assert gone.closed


def test_the_first_board_may_be_the_one_that_is_lost():
    timed, _ = deal(FakeBoard("gone", lost=0), FakeBoard("good", speed=2.0))
    assert [one.best for one in timed] == pytest.approx([number / 2 for number in NUMBERS])


def test_a_board_that_miscounts_is_left_out():
    timed, notes = deal(FakeBoard("good"), FakeBoard("bad", fates={"all": "wrong"}))
    assert [one.status for one in timed] == ["ok"] * 7
    assert notes == ["left out: the board at bad fails where another does not: 4 of 9 values differ"]


def test_a_wrong_candidate_is_no_fault_of_its_board():
    timed, notes = deal(FakeBoard("a", fates={"l4": "wrong"}), FakeBoard("b"))
    assert [one.status for one in timed] == ["ok", "wrong", *["ok"] * 5]
    assert notes == []


def test_a_first_library_that_fails_everywhere():
    timed, notes = deal(FakeBoard("a", fates={"l10": "wrong"}), FakeBoard("b", fates={"l10": "crashed"}))
    assert [one.status for one in timed] == ["wrong", *["ok"] * 6]
    assert notes == []


def test_no_board_is_left():
    with pytest.raises(BoardError, match="was lost; the same command with --resume goes on when a board is back"):
        deal(FakeBoard("a", lost=0), FakeBoard("b", lost=0))


def test_a_board_that_cannot_run_the_target(board: Running):
    notes: list[str] = []
    with pytest.raises(TargetError, match="cannot run code for cortex-a76: it lacks asimd"):
        open_boards(Place(board.address), find_target("cortex-a76"), 5, notes.append)
    assert notes[0].startswith("left out: the board at")


@needs_sse4
def test_two_boards_of_a_tracker(
    tracker: Running,
    registered: Running,
    pack: Path,
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    words = ["--tracker", str(tracker.address), "--key", "pi"]
    with boards.board(pack, tmp_path / "second", *words):
        boards.until(lambda: len(entries(tracker.address)) == 2)
        command = [
            "tune",
            str(model_file),
            "--target",
            "x86-sse4",
            "--size",
            "24x40",
            "--threads",
            "1",
            "--trials",
            "8",
            "--logs",
            str(tmp_path / "logs"),
            *words,
            "--json",
        ]
        assert main(command) == 0
    captured = capsys.readouterr()
    table = json.loads(captured.out)
    assert re.search(r"tuning on .* at \S+, .* at \S+", captured.err)
    assert sum(row["trials"] for row in table["kernels"]) == 8
    log = find_log(tmp_path / "logs", SSE4)
    assert log is not None
    trials = [record for record in log.records if isinstance(record, Trial)]
    assert [trial.status for trial in trials] == ["ok"] * 8
    assert {trial.cpu for trial in trials} == {this_cpu().name}
