"""What is known of one task, and what to try next."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from toolchain.schedules.records import Best, Candidate, Trial
from toolchain.schedules.task import Demand, Task
from toolchain.tune.model import CostModel

PATIENCE = 16
"""Trials without a better tile after which a task is done, though its space may not be exhausted."""

_EXPLORE = 0.25
"""Share of the tiles that are tried in spite of what the cost model says."""


class Search:
    """One task.

    Args:
        task: what is tuned.
        space: its tiles, the default one first.
        demand: for which pictures, how many times.

    Attributes:
        tried: every tile that was tried, and what became of it.
        best: the incumbent, None as long as nothing was measured.
        default_seconds: time of the default tile when it was first measured.
        stale: trials since the incumbent changed.
    """

    def __init__(self, task: Task, space: Sequence[Candidate], demand: Demand) -> None:
        self.task, self.space, self.demand = task, tuple(space), demand
        self.tried: dict[Candidate, Trial] = {}
        self.best: Best | None = None
        self.default_seconds = 0.0
        self.stale = 0

    @property
    def default(self) -> Candidate:
        """The tile of an untuned build."""
        return self.space[0]

    @property
    def incumbent(self) -> Candidate:
        """The best tile so far, at first the default one."""
        return self.best.tile if self.best else self.default

    @property
    def left(self) -> list[Candidate]:
        """The tiles not tried yet."""
        return [tile for tile in self.space if tile not in self.tried]

    @property
    def done(self) -> bool:
        """Whether nothing better is to be expected."""
        return not self.left or self.stale >= PATIENCE

    @property
    def seconds(self) -> float:
        """Time that the kernel takes of a picture, with the incumbent; 0 as long as nothing was measured."""
        return self.untuned * (self.best.relative if self.best else 1.0)

    @property
    def untuned(self) -> float:
        """Time that the kernel takes of a picture, with the default tile; 0 as long as nothing was measured."""
        return self.demand.times * self.default_seconds

    def note(self, trial: Trial) -> None:
        """Take note of a trial."""
        self.tried[trial.tile] = trial
        self.stale += 1
        if trial.tile == self.default and not self.default_seconds:
            self.default_seconds = trial.seconds

    def accept(self, best: Best) -> None:
        """Take a new incumbent."""
        if self.best is None or best.tile != self.best.tile:
            self.stale = 0
        self.best = best

    def propose(
        self, count: int, model: CostModel, chance: random.Random, hints: Iterable[Candidate] = ()
    ) -> list[Candidate]:
        """Return up to ``count`` tiles to try next: the default one if it was never measured, then ``hints``, then
        those the model thinks best, and some at random.
        """
        left = self.left
        chosen = [self.default] if self.default in left else []
        chosen += [tile for tile in dict.fromkeys(hints) if tile in left and tile not in chosen]
        chance.shuffle(left)  # also the order of tiles that the model cannot tell apart
        scores = model.scores(self.task, left)
        ranked = left
        if scores is not None:
            order = sorted(range(len(left)), key=lambda index: -scores[index])
            ranked = [left[index] for index in order]
        guided = count - round(_EXPLORE * count) if scores is not None else count
        fresh = [tile for tile in ranked if tile not in chosen]
        chosen = (chosen + fresh[: max(0, guided - len(chosen))])[:count]
        rest = [tile for tile in left if tile not in chosen]
        return chosen + rest[: count - len(chosen)]
