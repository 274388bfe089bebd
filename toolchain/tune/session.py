"""A tuning run: which task is next, what is measured, what is kept, and when to stop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain.schedules.records import Best, Candidate, Record, Trial
from toolchain.schedules.task import Task
from toolchain.support.errors import TuningError
from toolchain.tune.builder import Builder
from toolchain.tune.model import CostModel
from toolchain.tune.runner import Runner, Timed
from toolchain.tune.search import PATIENCE, Search

BATCH = 8
"""Candidates built, checked and timed together."""

_FINALISTS = 3
_GAIN = 0.99
"""Share of the incumbent's time that a candidate may need at most to take its place."""

_MAJORITY = 0.6
"""Share of the rounds of a contest in which it must be faster besides."""


@dataclass(frozen=True)
class Tools:
    """What a run works with: the real ones, or a test's."""

    builder: Builder
    runner: Runner
    model: CostModel
    append: Callable[[Record], None]
    cpu: str
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Budget:
    """Where a run ends if nothing ends it before: tiles tried, those of the log included, and seconds."""

    trials: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Point:
    """How far a run is.

    Attributes:
        trials: tiles tried.
        left: tiles that will be tried if the time suffices.
        elapsed: seconds since the run began.
        remaining: seconds it may still take.
        relative: see `relative`.
    """

    trials: int
    left: int
    elapsed: float
    remaining: float
    relative: float


@dataclass(frozen=True)
class Outcome:
    """What came out: the best so far after each batch of trials, and why the run ended."""

    curve: tuple[Point, ...]
    reason: str


@dataclass(frozen=True)
class _Screened:
    """What a first, short measurement gave.

    Attributes:
        results: of every tile.
        base: seconds that the default tile takes, measured or reckoned by the incumbent's.
    """

    results: Mapping[Candidate, Timed]
    base: float

    def figures(self, tile: Candidate) -> tuple[float, float]:
        """Return seconds of a tile, and their share of the default tile's; 0 where it failed."""
        timed = self.results[tile]
        seconds = timed.best if timed.status == "ok" else 0.0
        return _figures(seconds, seconds / self.base)


class TuningSession:
    """A run over some searches.

    Args:
        searches: one for each task.
        tools: what it works with.
        budget: where it ends.
        tell: is told after every batch how far it is, and what the batch was for.
        seed: of what is left to chance.
    """

    def __init__(
        self,
        searches: Iterable[Search],
        tools: Tools,
        budget: Budget,
        tell: Callable[[Point, Search], None] = lambda point, search: None,
        seed: int = 0,
    ) -> None:
        self.searches, self.tools, self.budget, self.tell = list(searches), tools, budget, tell
        self._chance = random.Random(seed)

    def run(self) -> Outcome:
        """Tune until the budget is used up or nothing better is to be expected.

        Raises:
            TuningError: the default tile of a kernel does not work.
            OutputError: the log cannot be written.
        """
        for known in self.searches:
            self._learn(known, known.tried)
        begin, before = self.tools.clock(), self.trials
        curve: list[Point] = []
        while search := self._next():
            count = BATCH if self.budget.trials is None else min(BATCH, self.budget.trials - self.trials)
            if count < 1:
                return Outcome(tuple(curve), "the trials are used up")
            if self.budget.seconds is not None and self.tools.clock() - begin >= self.budget.seconds:
                return Outcome(tuple(curve), "the time is used up")
            self._batch(search, search.propose(count, self.tools.model, self._chance, self._hints(search)))
            elapsed, left = self.tools.clock() - begin, self._left()
            remaining = left * elapsed / (self.trials - before)
            if self.budget.seconds is not None:
                remaining = max(0.0, min(remaining, self.budget.seconds - elapsed))
            curve.append(Point(self.trials, left, elapsed, remaining, relative(self.searches)))
            self.tell(curve[-1], search)
        return Outcome(tuple(curve), "nothing better is to be expected")

    @property
    def trials(self) -> int:
        """Tiles tried so far, those of the log included."""
        return sum(len(search.tried) for search in self.searches)

    def _left(self) -> int:
        left = sum(min(len(search.left), max(0, PATIENCE - search.stale)) for search in self.searches)
        return left if self.budget.trials is None else min(left, self.budget.trials - self.trials)

    def _next(self) -> Search | None:
        """Return what was never measured here, the most arithmetic first; then by share of its picture's time, and by
        hope.
        """
        new = [search for search in self.searches if search.default not in search.tried]
        if new:
            return max(new, key=_work)
        totals: dict[tuple[int, int, int], float] = {}
        for search in self.searches:
            totals[_picture(search)] = totals.get(_picture(search), 0.0) + search.seconds
        unfinished = [search for search in self.searches if not search.done]
        return max(
            unfinished,
            default=None,
            key=lambda search: search.seconds / totals[_picture(search)] * 0.5 ** (search.stale / BATCH),
        )

    def _hints(self, search: Search) -> list[Candidate]:
        """Return what was best for the same kernel at other sizes and numbers of threads."""
        return [
            other.best.tile
            for other in self.searches
            if other is not search and other.best is not None and other.task.kernel == search.task.kernel
        ]

    def _batch(self, search: Search, tiles: list[Candidate]) -> None:
        """Try ``tiles``: time them shortly, let the best contend with the incumbent, and write down what came out."""
        screened, count = self._screen(search, tiles), len(search.tried) + len(tiles)
        best = self._contest(search, screened, count)
        if best is None and search.best is None:
            best = Best(search.task, search.default, self.tools.cpu, *screened.figures(search.default), count)
        # First the winner, then the trials: should this be the end, trials are made again, but nothing is lost.
        if best is not None:
            self.tools.append(best)
            search.accept(best)
        for tile in tiles:
            timed = screened.results[tile]
            trial = Trial(search.task, tile, self.tools.cpu, timed.status, *screened.figures(tile), timed.note)
            self.tools.append(trial)
            search.note(trial)
        self._learn(search, {tile: search.tried[tile] for tile in tiles})

    def _screen(self, search: Search, tiles: list[Candidate]) -> _Screened:
        """Build and check ``tiles`` and the incumbent, and time them in turn.

        Raises:
            TuningError: the default tile does not work.
        """
        task, default = search.task, search.default
        libraries, results = self._build(task, list(dict.fromkeys([search.incumbent, *tiles])))
        estimate = search.default_seconds or task.macs / 1e11
        results |= self._time(task, libraries, _rounds(9, estimate * len(libraries)))
        if default in results and results[default].status != "ok":
            raise TuningError(
                f"the default tile of {task} does not work: {results[default].note}",
                hint="nothing can be tuned before it does",
            )
        if results[search.incumbent].status != "ok":  # it was the best on another machine
            search.best = None
            return self._screen(search, tiles)
        if default in results:
            return _Screened(results, results[default].best)
        return _Screened(results, results[search.incumbent].best / (search.best.relative if search.best else 1.0))

    def _contest(self, search: Search, screened: _Screened, trials: int) -> Best | None:
        """Time the most promising tiles once more, longer, beside the incumbent; None where none of them wins."""
        held = screened.results[search.incumbent].best
        by_time = sorted(screened.results, key=lambda tile: screened.results[tile].best)
        promising = [tile for tile in by_time if screened.results[tile].best < _GAIN * held][:_FINALISTS]
        if not promising:
            return None
        contenders = list(dict.fromkeys([search.incumbent, *promising, search.default]))
        libraries, failed = self._build(search.task, contenders)
        timed = self._time(search.task, libraries, _rounds(30, held * len(libraries)))
        if failed or any(one.status != "ok" for one in timed.values()):
            return None
        better = [tile for tile in promising if _beats(timed[tile], timed[search.incumbent])]
        if not better:
            return None
        winner = min(better, key=lambda tile: timed[tile].best)
        seconds, default = timed[winner].best, timed[search.default].best
        return Best(search.task, winner, self.tools.cpu, *_figures(seconds, seconds / default), trials)

    def _build(self, task: Task, tiles: list[Candidate]) -> tuple[dict[Candidate, Path], dict[Candidate, Timed]]:
        """Libraries of the tiles that can be built, and what became of the others."""
        built = dict(zip(tiles, self.tools.builder.build(task, tiles), strict=True))
        failed = {tile: Timed(one.status, note=one.note) for tile, one in built.items() if one.library is None}
        return {tile: one.library for tile, one in built.items() if one.library is not None}, failed

    def _time(self, task: Task, libraries: Mapping[Candidate, Path], rounds: int) -> dict[Candidate, Timed]:
        timed = self.tools.runner.time(task, list(libraries.values()), rounds)
        return dict(zip(libraries, timed, strict=True))

    def _learn(self, search: Search, trials: Mapping[Candidate, Trial]) -> None:
        good = {tile: trial.relative for tile, trial in trials.items() if trial.status == "ok"}
        self.tools.model.learn(search.task, good)


def relative(searches: Iterable[Search]) -> float:
    """Time of all kernels with the best tiles, over their time with default tiles. Those not measured yet stand as long
    as their arithmetic would take at the others' rate.
    """
    searches = list(searches)
    known = [search for search in searches if search.untuned]
    untuned, work = sum(search.untuned for search in known), sum(map(_work, known))
    if not work:
        return 1.0
    waiting = sum(map(_work, searches)) - work
    return (sum(search.seconds for search in known) + waiting * untuned / work) / (untuned + waiting * untuned / work)


def resume(searches: Iterable[Search], records: Iterable[Record], cpu: str, *, trials: bool) -> None:
    """Put into ``searches`` what a log knows: the best tiles, and if ``trials``, what was tried on this ``cpu``."""
    by_task = {search.task: search for search in searches}
    for record in records:
        search = by_task.get(record.task)
        if search is None or record.tile not in search.space:
            continue
        if isinstance(record, Best):
            search.accept(record)
        elif trials and record.cpu == cpu and (record.status == "ok" or record.tile != search.default):
            search.note(record)


def _rounds(most: int, seconds: float) -> int:
    """How many rounds of ``seconds`` each to run: ``most``, but fewer where that would take long."""
    return max(min(most, 7), min(most, int(3.0 / max(seconds, 1e-6))))


def _beats(timed: Timed, incumbent: Timed) -> bool:
    """Whether a tile takes the incumbent's place, both timed in turn."""
    return timed.best < _GAIN * incumbent.best and timed.wins(incumbent) >= _MAJORITY


def _work(search: Search) -> int:
    return search.demand.times * search.task.macs


def _figures(seconds: float, ratio: float) -> tuple[float, float]:
    """As many digits as a measurement is worth."""
    return round(seconds, 8), round(ratio, 4)


def _picture(search: Search) -> tuple[int, int, int]:
    return search.demand.height, search.demand.width, search.task.threads
