"""Guessing how fast a candidate is before it is measured: gradient-boosted trees (XGBoost) on features of any kind.

They learn the throughput relative to the best of the same task, as the cost model of TVM's MetaSchedule does, so that
tasks of all sizes teach each other. MetaSchedule's search is not used: that mutates traces of schedules, which wants
loops that do not depend on the choices; a kernel's space here has some dozens of tiles, so all of them are ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from toolchain.schedules.records import Candidate
from toolchain.schedules.task import Task
from toolchain.support.errors import TuningError

_LEAST = 8
"""Measurements before there is anything to learn from."""

_ROUNDS = 80
_PARAMETERS = {
    "objective": "reg:squarederror",
    "max_depth": 6,
    "eta": 0.15,
    "gamma": 1e-3,
    "min_child_weight": 0,
    "nthread": 1,
    "seed": 0,
}


class CostModel(Protocol):
    """Learns from measured candidates of all tasks."""

    def learn(self, task: Task, relative: Mapping[Candidate, float]) -> None:
        """Take note of times, relative to the default one's."""

    def scores(self, task: Task, tiles: Sequence[Candidate]) -> list[float] | None:
        """Return how good each candidate is, higher is better; None while it cannot tell."""


class Features(Protocol):
    """What a candidate looks like to a cost model."""

    def of(self, task: Task, tiles: Sequence[Candidate]) -> npt.NDArray[np.float32]:
        """Describe each candidate: float32 (candidates, features)."""


class XGBoostModel:
    """Boosted trees over the features of all candidates that were measured.

    Args:
        features: of candidates.

    Raises:
        TuningError: XGBoost is not installed, or does not work.
    """

    def __init__(self, features: Features) -> None:
        try:
            import xgboost
        except Exception as error:  # it raises an error of its own kind where its library cannot be loaded
            raise TuningError(
                f"the cost model needs XGBoost, which cannot be imported: {error}", hint="pip install 'clipfree[tune]'"
            ) from error
        self._xgboost, self._features = xgboost, features
        self._measured: dict[Task, dict[Candidate, float]] = {}
        self._trees: Any = None

    def learn(self, task: Task, relative: Mapping[Candidate, float]) -> None:
        """Take note of times, relative to the default candidate's."""
        if relative:
            self._measured.setdefault(task, {}).update(relative)
            self._trees = None

    def scores(self, task: Task, tiles: Sequence[Candidate]) -> list[float] | None:
        """Return how good each candidate is, higher is better; None while it cannot tell."""
        if sum(map(len, self._measured.values())) < _LEAST or not tiles:
            return None
        if self._trees is None:
            self._trees = self._fitted()
        described = self._xgboost.DMatrix(self._features.of(task, tiles), nthread=1)
        return [float(score) for score in self._trees.predict(described)]

    def _fitted(self) -> Any:
        rows = np.concatenate([self._features.of(task, list(times)) for task, times in self._measured.items()])
        throughput = [min(times.values()) / seconds for times in self._measured.values() for seconds in times.values()]
        data = self._xgboost.DMatrix(rows, np.array(throughput, np.float32), nthread=1)
        return self._xgboost.train(_PARAMETERS, data, num_boost_round=_ROUNDS)
