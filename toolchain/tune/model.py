"""Guessing how fast a tile is before it is measured: MetaSchedule's XGBoost cost model on its per-store features.

Of MetaSchedule no more is used. Its search mutates traces of schedules, which wants loops that do not depend on the
choices; a kernel's space here has some dozens of tiles, so all of them are ranked instead. Its database and its builder
are replaced for the reasons given in `toolchain.tune.database` and `toolchain.tune.builder`.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from toolchain.errors import TuningError
from toolchain.kernels.tile import Tile
from toolchain.targets import Target
from toolchain.tune.task import Task

_INTRINSICS = "tvm.s_tir.tensor_intrin"
_LEAST = 8
"""Measurements before there is anything to learn from."""


class CostModel(Protocol):
    """Learns from measured tiles of all tasks."""

    def learn(self, task: Task, relative: Mapping[Tile, float]) -> None:
        """Take note of times, relative to the default tile's."""

    def scores(self, task: Task, tiles: Sequence[Tile]) -> list[float] | None:
        """How good each tile is, higher is better; None while it cannot tell."""


class XGBoostModel:
    """MetaSchedule's cost model for ``target``.

    Raises:
        TuningError: XGBoost is not installed, or does not work.
    """

    def __init__(self, target: Target) -> None:
        try:
            import xgboost  # noqa: F401
        except Exception as error:  # it raises an error of its own kind where its library cannot be loaded
            raise TuningError(f"the cost model needs XGBoost, which cannot be imported: {error}",
                              hint="pip install xgboost-cpu") from error
        from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBModel

        self._target, self._count = target, 0
        # Threads are numbered here and below: MetaSchedule would ask psutil, which TVM does not bring along. Measured
        # times are noisy; its 50 rounds of patience took ten times as long to fit the noise.
        self._model: Any = XGBModel(num_warmup_samples=_LEAST, num_tuning_cores=1, early_stopping_rounds=5)
        self._contexts: dict[Task, Any] = {}
        self._candidates: dict[tuple[Task, Tile], Any] = {}

    def learn(self, task: Task, relative: Mapping[Tile, float]) -> None:
        """Take note of times, relative to the default tile's."""
        from tvm.s_tir.meta_schedule.runner import RunnerResult

        if relative:
            candidates = [self._candidate(task, tile) for tile in relative]
            results = [RunnerResult([seconds], None) for seconds in relative.values()]
            self._model.update(self._contexts[task], candidates, results)
            self._count += len(relative)

    def scores(self, task: Task, tiles: Sequence[Tile]) -> list[float] | None:
        """How good each tile is, higher is better; None while it cannot tell."""
        if self._count < _LEAST or not tiles:
            return None
        candidates = [self._candidate(task, tile) for tile in tiles]
        return [float(score) for score in self._model.predict(self._contexts[task], candidates)]

    def _candidate(self, task: Task, tile: Tile) -> Any:
        """``tile``'s schedule at the task's size, which is not compiled: only its features are taken."""
        from tvm.s_tir import Schedule
        from tvm.s_tir import meta_schedule as ms

        from toolchain.kernels.intrinsics import dot_product
        from toolchain.kernels.schedule import schedule_conv
        from toolchain.llvm import tvm_target
        from toolchain.tune.kernel import instance

        if task not in self._contexts:
            with _no_intrinsics():
                self._contexts[task] = ms.TuneContext(mod=instance(task, self._target), num_threads=1,
                                                      target=tvm_target(self._target))  # fmt: skip
        if (task, tile) not in self._candidates:
            sch = Schedule(self._contexts[task].mod)
            schedule_conv(sch, task.conv, tile, dot_product(self._target.instruction_set))
            self._candidates[task, tile] = ms.MeasureCandidate(sch, [])
        return self._candidates[task, tile]


@contextlib.contextmanager
def _no_intrinsics() -> Iterator[None]:
    """Let TVM believe that it has imported its tensor intrinsics.

    A `TuneContext` imports every one of them, for GPUs too, which takes 15 to 28 s; the kernels here use their own.
    """
    if _INTRINSICS in sys.modules:
        yield
        return
    sys.modules[_INTRINSICS] = types.ModuleType(_INTRINSICS)
    try:
        yield
    finally:
        del sys.modules[_INTRINSICS]
