"""Running candidates on boards: one, or several of a kind side by side. They may crash, hang, vanish and come back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from toolchain.board.connect import connect
from toolchain.board.place import Place
from toolchain.board.session import ENDED
from toolchain.board.tracker import count
from toolchain.schedules.task import Task
from toolchain.support.errors import BoardError, ClipfreeError, TargetError
from toolchain.support.worker import Died
from toolchain.targets import Target, machines
from toolchain.tune import WORKER
from toolchain.tune.runner import LocalRunner, Timed

_UNKNOWN = 5e7
"""Multiply-accumulates a second below which a kernel hangs on a board whose speed is not known yet."""

_MARGIN = 20
"""How much slower than the first kernel, by their arithmetic, others may be."""

_MANY = 5
"""Candidates from which on they are dealt to several boards: fewer are those of a contest, which differ by less than
boards of one kind do."""

_LOST = f"{ENDED}: the connection was lost"
_RETRY = 2.0
_OTHERS = 3.0  # seconds to wait for further boards once there is one


class BoardRunner(LocalRunner):
    """Times on one board.

    Args:
        instruction_set: of the libraries.
        place: of the board; one among several where it is a tracker's key.
        wait: seconds to wait for a busy board, and for one that was lost.
        command: of the process that talks to it.

    Raises:
        BoardError: there is no board.
    """

    def __init__(self, instruction_set: str, place: Place, wait: float, command: Sequence[str] = WORKER) -> None:
        super().__init__(instruction_set, command)
        self.place, self.wait, self.slowest = place, wait, _UNKNOWN
        try:
            self.board = connect(self._worker, place, wait)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The name of what candidates run on: the board's processor."""
        return self.board.description.cpu.name

    def refusal(self, target: Target) -> TargetError | None:
        """Return why it cannot be tuned on for ``target``; None if it can."""
        cpu = self.board.description.cpu
        missing = target.missing_on(cpu)
        if not missing and cpu.machine in machines(target.triple):
            return None
        lacks = f"it lacks {', '.join(missing)}" if missing else f"it is {cpu.machine}"
        return TargetError(
            f"the board at {self.board.address} cannot run code for {target.name}: {lacks}",
            hint="`clipfree board check` names the targets it can run",
        )

    def time(self, task: Task, libraries: Sequence[Path], rounds: int) -> list[Timed]:
        """Return one result for each library; those that are right run in turn, ``rounds`` times.

        Raises:
            BoardError: the board was lost, and did not come back.
        """
        if self.slowest == _UNKNOWN:
            (first,) = super().time(task, libraries[:1], 1)
            if first.status != "ok" and len(libraries) == 1:
                return [first]
            self.slowest = max(2 * _UNKNOWN, task.macs / first.best / _MARGIN)
        timed = super().time(task, libraries, rounds)
        # The board rebooted, or its network failed: that may have been chance, once.
        return [
            super(BoardRunner, self).time(task, [library], rounds)[0] if one.note == _LOST else one
            for library, one in zip(libraries, timed, strict=True)
        ]

    def _recover(self, death: Died) -> str:
        """Wait until the board serves again, or another one of the tracker does."""
        before, end = self.board.address, time.monotonic() + self.wait
        while True:
            try:
                self.board = connect(self._worker, self.place, max(0.0, end - time.monotonic()))
            except BoardError as error:
                if time.monotonic() + _RETRY > end:
                    raise BoardError(f"the board at {before} was lost: {error.message}", hint=error.hint) from error
                time.sleep(_RETRY)
                continue
            how = self.board.description.previous if self.board.address == before else ""
            if death.status == "hung":
                return death.note
            return f"{ENDED}: {how}" if how else _LOST


OpenBoard: TypeAlias = Callable[[Target, Place, float], BoardRunner]
"""Makes the runner of one board, given seconds to wait for it."""


def _on_processor(target: Target, place: Place, wait: float) -> BoardRunner:
    return BoardRunner(target.instruction_set, place, wait)


class BoardsRunner:
    """Deals candidates to boards of one kind.

    Each board gets the first library too, and times of different boards are made comparable by it. The few libraries
    of a contest stay together on one board.

    Args:
        boards: at least one.
        note: is told which board is left out, and why.
    """

    def __init__(self, boards: Sequence[BoardRunner], note: Callable[[str], None]) -> None:
        self.boards, self._note = list(boards), note

    def time(self, task: Task, libraries: Sequence[Path], rounds: int) -> list[Timed]:
        """Return one result for each library; those that are right run in turn on one of the boards, ``rounds`` times.

        Raises:
            BoardError: no board is left.
        """
        first, found = libraries[0], dict[Path, Timed]()
        while missing := [library for library in libraries if library not in found]:
            others = [library for library in missing if library != first]
            count = min(len(self.boards), len(others)) if len(others) >= _MANY else 1
            dealt = [[first, *others[index::count]] for index in range(count)]
            outcomes = self._run(task, dealt, rounds)
            right = [timed[0] for timed in outcomes if not isinstance(timed, BoardError) and timed[0].status == "ok"]
            for board, share, timed in zip(list(self.boards), dealt, outcomes, strict=False):
                if isinstance(timed, BoardError):
                    self._leave_out(board, timed)
                elif right and timed[0].status != "ok":
                    fault = f"the board at {board.board.address} fails where another does not: {timed[0].note}"
                    self._leave_out(board, BoardError(fault))
                else:
                    unit = found.setdefault(first, timed[0])
                    factor = unit.best / timed[0].best if right else 1.0
                    found |= {library: _scaled(one, factor) for library, one in zip(share[1:], timed[1:], strict=True)}
        return [found[library] for library in libraries]

    def close(self) -> None:
        """Give the boards back."""
        for board in self.boards:
            board.close()

    def _run(self, task: Task, dealt: list[list[Path]], rounds: int) -> list[list[Timed] | BoardError]:
        def run(board: BoardRunner, share: list[Path]) -> list[Timed] | BoardError:
            try:
                return board.time(task, share, rounds)
            except BoardError as error:
                return error

        with ThreadPoolExecutor(len(dealt)) as pool:
            try:
                return list(pool.map(run, self.boards, dealt))
            except BaseException:
                self.close()  # else the pool would wait for them
                raise

    def _leave_out(self, board: BoardRunner, error: BoardError) -> None:
        board.close()
        self.boards.remove(board)
        if not self.boards:
            hint = "the same command with --resume goes on when a board is back"
            raise BoardError(error.message, hint=hint) from error
        self._note(f"left out: {error.message}")


def open_boards(
    place: Place,
    target: Target,
    wait: float,
    note: Callable[[str], None],
    open_board: OpenBoard = _on_processor,
) -> BoardsRunner:
    """Return the boards at ``place`` that are free and can run code for ``target``; ``note`` is told what else there
    is.

    Args:
        place: of the boards.
        target: of the candidates.
        wait: seconds to wait for a board.
        note: is told what the user should know.
        open_board: makes the runner of one board.

    Raises:
        BoardError: there is none, or none becomes free within ``wait`` seconds.
        TargetError: there are, but they cannot run it.
    """
    boards: list[BoardRunner] = []
    refused: ClipfreeError | None = None
    for _ in range(count(place)):
        try:
            board = open_board(target, place, min(wait, _OTHERS) if boards else wait)
        except BoardError as error:
            refused = refused or error
            continue
        board.wait = wait
        if (refusal := board.refusal(target)) is not None:
            refused = refusal
            note(f"left out: {refused.message}")
            board.close()
            continue
        boards.append(board)
    if not boards:
        assert refused is not None
        raise refused
    note("tuning on " + ", ".join(f"{board.name} at {board.board.address}" for board in boards))
    return BoardsRunner(boards, note)


def _scaled(timed: Timed, factor: float) -> Timed:
    return dataclasses.replace(timed, seconds=tuple(factor * seconds for seconds in timed.seconds))
