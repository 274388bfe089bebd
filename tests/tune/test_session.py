"""A tuning run in a simulated world: times are made up, and the clock goes by the work done."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tune.specs import CPU, best, task
from toolchain.kernels.tile import Tile
from toolchain.schedules.records import Best, Record, Trial
from toolchain.schedules.task import Demand, Task
from toolchain.support.errors import OutputError, TuningError
from toolchain.tune.builder import Built
from toolchain.tune.runner import Timed
from toolchain.tune.search import PATIENCE, Search
from toolchain.tune.session import BATCH, Budget, Point, Tools, TuningSession, relative, resume

SPACE = tuple(
    Tile(vectors, channels, outer, "taps", unroll)
    for vectors, channels, outer, unroll in itertools.product(
        (1, 2), (4, 8, 16), ("columns", "channels"), (False, True)
    )
)
DEFAULT, FAST = SPACE[0], SPACE[17]
SMALL, LARGE = task(20, 30), task(200, 300)


class World:
    """Builder, runner, model, log and clock. ``fates``: tiles that come to a bad end; ``noise``: of a measurement."""

    def __init__(self, fates: Mapping[Tile, str] | None = None, noise: float = 0.0, fast: Tile = FAST) -> None:
        self.fates, self.noise, self.fast = dict(fates or {}), noise, fast
        self.chance, self.now = random.Random(5), 0.0
        self.log: list[Record] = []
        self.learnt: dict[Tile, float] = {}
        self.timed: list[Tile] = []
        self.lucky: set[Tile] = set()

    def seconds(self, of: Task, tile: Tile) -> float:
        """The truth: the fast tile needs 60 % of the time, the others up to 120 %."""
        share = 0.6 if tile == self.fast else 1.0 + 0.2 * (SPACE.index(tile) / len(SPACE))
        return 1e-9 * of.height * of.width * share

    def build(self, _task: Task, tiles: Sequence[Tile]) -> list[Built]:
        self.now += len(tiles)
        return [
            Built(None, "crashed", "SIGSEGV")
            if self.fates.get(tile) == "no build"
            else Built(Path(str(SPACE.index(tile))))
            for tile in tiles
        ]

    def time(self, of: Task, libraries: Sequence[Path], rounds: int) -> list[Timed]:
        self.now += len(libraries)
        found = []
        for tile in (SPACE[int(str(library))] for library in libraries):
            self.timed.append(tile)
            status: Any = self.fates.get(tile, "ok")
            times = [self.seconds(of, tile) * (1 + self.noise * self.chance.random()) for _ in range(rounds)]
            if tile in self.lucky:  # once
                self.lucky.remove(tile)
                times = [0.5 * one for one in times]
            found.append(Timed(status, tuple(times) if status == "ok" else (), "" if status == "ok" else "bad"))
        return found

    def learn(self, _task: Task, found: Mapping[Tile, float]) -> None:
        self.learnt.update(found)

    def scores(self, _task: Task, tiles: Sequence[Tile]) -> list[float] | None:
        return None

    def close(self) -> None: ...

    def tools(self, cpu: str = CPU) -> Tools:
        return Tools(self, self, self, self.log.append, cpu, lambda: self.now)

    def trials(self) -> list[Trial]:
        return [record for record in self.log if isinstance(record, Trial)]

    def run(self, searches: Sequence[Search], budget: Budget = Budget(), **more: Any) -> Any:  # noqa: B008
        return TuningSession(searches, self.tools(), budget, **more).run()


def search(of: Task = SMALL, times: int = 1) -> Search:
    return Search(of, SPACE, Demand(of.height, of.width, times))


def test_the_fast_tile_is_found_and_kept():
    world, one = World(noise=0.05), search()
    outcome = world.run([one])
    assert one.best is not None
    assert one.best.tile == FAST
    assert one.best.relative == pytest.approx(0.6, rel=0.05)
    assert outcome.reason == "nothing better is to be expected"
    tiles = [trial.tile for trial in world.trials()]
    assert len(tiles) == len(set(tiles))
    assert tiles[0] == DEFAULT
    assert world.learnt.keys() == set(tiles)
    assert world.learnt[DEFAULT] == 1.0


def test_a_lucky_measurement_does_not_win():
    world, one = World(fast=DEFAULT), search()
    world.lucky = {SPACE[5], SPACE[9]}
    world.run([one])
    assert not world.lucky
    assert one.best is not None
    assert one.best.tile == DEFAULT
    assert min(trial.relative for trial in world.trials()) < 0.9  # it did look like a winner


def test_it_stops_when_nothing_improves():
    world, one = World(fast=DEFAULT, noise=0.02), search()
    world.run([one])
    assert PATIENCE <= len(world.trials()) <= PATIENCE + BATCH
    assert one.done


@pytest.mark.parametrize("count", [1, 5, 8, 11])
def test_a_budget_of_trials_is_kept(count: int):
    world, searches = World(), [search(SMALL), search(LARGE)]
    assert world.run(searches, Budget(trials=count)).reason == "the trials are used up"
    assert len(world.trials()) == count
    assert world.trials()[0] == Trial(LARGE, DEFAULT, CPU, "ok", 6e-5 * 1.0, 1.0)  # the most work first


def test_a_budget_of_time_is_kept():
    world = World()
    outcome = world.run([search(SMALL), search(LARGE)], Budget(seconds=20.0))
    assert outcome.reason == "the time is used up"
    assert 20 <= world.now < 20 + 4 * BATCH
    assert all(point.remaining <= max(0.0, 20 - point.elapsed) for point in outcome.curve)


def test_bad_candidates_are_recorded_and_never_win():
    fates = {FAST: "wrong", SPACE[2]: "crashed", SPACE[3]: "hung", SPACE[4]: "no build"}
    world, one = World(fates), search()
    world.run([one], Budget(trials=len(SPACE)))
    status = {trial.tile: (trial.status, trial.note) for trial in world.trials() if trial.status != "ok"}
    assert set(status.items()) <= {
        (FAST, ("wrong", "bad")),
        (SPACE[2], ("crashed", "bad")),
        (SPACE[3], ("hung", "bad")),
        (SPACE[4], ("crashed", "SIGSEGV")),
    }
    assert len(status) >= 2
    assert not set(status) & set(world.learnt)
    assert one.best is not None
    assert one.best.tile not in fates


@pytest.mark.parametrize("fate", ["wrong", "no build"])
def test_a_default_tile_that_does_not_work_is_said(fate: str):
    with pytest.raises(TuningError, match=r"default tile of 3x3 8->16, 20x30, 1 thread does not work: (bad|SIGSEGV)"):
        World({DEFAULT: fate}).run([search()])


def test_killed_anywhere_it_resumes_with_nothing_lost():
    for length in range(1, 14):
        world = World(noise=0.05)
        written: list[Record] = []

        def append(record: Record, length: int = length, written: list[Record] = written) -> None:
            if len(written) == length:
                raise OutputError("the disk is full")
            written.append(record)

        tools = world.tools()
        with pytest.raises(OutputError):
            TuningSession([search()], Tools(world, world, world, append, CPU, tools.clock), Budget()).run()
        again = search()
        resume([again], written, CPU, trials=True)
        world.timed.clear()
        world.run([again])
        assert again.best is not None
        assert again.best.tile == FAST
        tried = [record.tile for record in written if isinstance(record, Trial)]
        assert not {trial.tile for trial in world.trials()} & set(tried)
        assert set(tried) <= set(again.tried)


def test_resuming_without_trials_keeps_the_incumbent_only():
    one = search()
    resume([one], [best(SMALL, FAST, 0.6), Trial(SMALL, SPACE[3], CPU, "ok", 1.0, 1.0)], CPU, trials=False)
    assert (one.tried, one.best and one.best.tile) == ({}, FAST)
    world = World()
    world.run([one], Budget(trials=BATCH))
    assert one.best is not None
    assert one.best.tile == FAST
    assert one.default_seconds > 0


def test_trials_of_another_processor_and_unknown_tiles_do_not_count():
    one = search()
    records = [
        Trial(SMALL, DEFAULT, "another", "ok", 1.0, 1.0),
        Trial(SMALL, Tile(7, 4), CPU, "ok", 1.0, 1.0),
        Trial(LARGE, DEFAULT, CPU, "ok", 1.0, 1.0),
        best(SMALL, Tile(7, 4)),
        Trial(SMALL, DEFAULT, CPU, "crashed"),
    ]  # without the default tile's time nothing compares
    resume([one], records, CPU, trials=True)
    assert (one.tried, one.best) == ({}, None)


def test_an_incumbent_that_fails_here_is_given_up():
    one = search()
    resume([one], [best(SMALL, SPACE[3], 0.1)], CPU, trials=True)
    World({SPACE[3]: "wrong"}).run([one])
    assert one.best is not None
    assert one.best.tile == FAST


def test_the_work_goes_where_the_time_is():
    world = World(fast=DEFAULT, noise=0.05)
    rare, often = search(task(40, 50)), search(task(40, 50, outputs=12), times=20)
    world.run([rare, often], Budget(trials=3 * BATCH))
    assert len(often.tried) == 2 * len(rare.tried)


def test_what_was_best_elsewhere_is_tried_first():
    one = search(LARGE)
    world = World()
    world.run([one])
    assert one.best is not None
    assert one.best.tile == FAST
    other = search(SMALL)
    world.run([one, other], Budget(trials=len(one.tried) + 2))
    assert list(other.tried) == [DEFAULT, FAST]


def test_the_model_guides():
    class Knows(World):
        def scores(self, _task: Task, tiles: Sequence[Tile]) -> list[float] | None:
            return [float(tile == FAST) for tile in tiles]

    world, one = Knows(), search()
    world.run([one], Budget(trials=4))
    assert FAST in one.tried
    assert one.best is not None
    assert one.best.tile == FAST


def test_the_curve_only_falls_and_the_end_comes_nearer():
    world, points = World(noise=0.02), []
    searches = [search(SMALL), search(LARGE), search(task(40, 60))]
    outcome = world.run(searches, tell=lambda point, one: points.append((point, one.task)))
    curve: Sequence[Point] = outcome.curve
    assert [point for point, _ in points] == list(curve)
    assert {of for _, of in points} == {one.task for one in searches}
    shares = [point.relative for point in curve]
    assert shares[-1] == relative(searches) == pytest.approx(0.6, rel=0.05)
    assert all(later <= earlier + 0.01 for earlier, later in itertools.pairwise(shares))
    assert curve[-1].left == 0
    assert curve[-1].remaining == 0
    assert curve[0].left > 0


def test_the_best_of_a_log_is_written_before_its_trials():
    world = World()
    world.run([search()], Budget(trials=BATCH))
    assert isinstance(world.log[0], Best)
    assert [type(record) for record in world.log[1:]] == [Trial] * BATCH
