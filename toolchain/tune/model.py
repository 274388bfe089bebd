"""Guessing how fast a candidate is before it is measured: MetaSchedule's XGBoost cost model on features of any kind.

Of MetaSchedule no more is used. Its search mutates traces of schedules, which wants loops that do not depend on the
choices; a kernel's space here has some dozens of tiles, so all of them are ranked instead. Its database and its builder
are replaced for the reasons given in `toolchain.tune.database` and `toolchain.tune.builder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from toolchain.errors import TuningError
from toolchain.tune.records import Candidate
from toolchain.tune.task import Task

_LEAST = 8
"""Measurements before there is anything to learn from."""


class CostModel(Protocol):
    """Learns from measured candidates of all tasks."""

    def learn(self, task: Task, relative: Mapping[Candidate, float]) -> None:
        """Take note of times, relative to the default one's."""

    def scores(self, task: Task, tiles: Sequence[Candidate]) -> list[float] | None:
        """How good each candidate is, higher is better; None while it cannot tell."""


class Features(Protocol):
    """What a candidate looks like to a cost model."""

    def of(self, task: Task, tiles: Sequence[Candidate]) -> list[npt.NDArray[np.float32]]:
        """For each candidate, float32 (parts, features): its parts' scores are summed up."""


class XGBoostModel:
    """MetaSchedule's cost model.

    Args:
        features: of candidates.

    Raises:
        TuningError: XGBoost is not installed, or does not work.
    """

    def __init__(self, features: Features) -> None:
        try:
            import xgboost  # noqa: F401
        except Exception as error:  # it raises an error of its own kind where its library cannot be loaded
            raise TuningError(f"the cost model needs XGBoost, which cannot be imported: {error}",
                              hint="pip install xgboost-cpu") from error
        from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBModel

        self._features, self._count = features, 0
        # Threads are numbered here: MetaSchedule would ask psutil, which TVM does not bring along. Measured times are
        # noisy; its 50 rounds of patience took ten times as long to fit the noise.
        # What TVM wraps around the model takes nothing but schedules.
        self._model: Any = XGBModel(num_warmup_samples=_LEAST, num_tuning_cores=1, early_stopping_rounds=5)._inst
        self._model.extractor = SimpleNamespace(extract_from=lambda context, candidates: candidates)

    def learn(self, task: Task, relative: Mapping[Candidate, float]) -> None:
        """Take note of times, relative to the default candidate's."""
        from tvm.s_tir.meta_schedule.runner import RunnerResult

        if relative:
            results = [RunnerResult([seconds], None) for seconds in relative.values()]
            self._model.update(self._context(task), self._described(task, list(relative)), results)
            self._count += len(relative)

    def scores(self, task: Task, tiles: Sequence[Candidate]) -> list[float] | None:
        """How good each candidate is, higher is better; None while it cannot tell."""
        if self._count < _LEAST or not tiles:
            return None
        return [float(score) for score in self._model.predict(self._context(task), self._described(task, tiles))]

    def _described(self, task: Task, tiles: Sequence[Candidate]) -> list[Any]:
        """Features in the place of MetaSchedule's candidates: the model asks its extractor for them, and no more."""
        import tvm

        return [tvm.runtime.tensor(rows) for rows in self._features.of(task, tiles)]

    def _context(self, task: Task) -> Any:
        """In the place of MetaSchedule's context: something to tell tasks apart by."""
        from tvm import ir

        return SimpleNamespace(mod=ir.StringImm(repr(task)))
