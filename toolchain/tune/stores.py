"""What a CPU's tile looks like to a cost model: MetaSchedule's features of every store of its loops."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.kernels.tile import Tile
from toolchain.targets import Target
from toolchain.tune.records import Candidate
from toolchain.tune.task import Task

_INTRINSICS = "tvm.s_tir.tensor_intrin"


class StoreFeatures:
    """MetaSchedule's features for ``target``, taken from schedules at the task's size that are not compiled."""

    def __init__(self, target: Target) -> None:
        from tvm.s_tir.meta_schedule.feature_extractor import PerStoreFeature

        self._target, self._extractor = target, PerStoreFeature()
        self._contexts: dict[Task, Any] = {}
        self._found: dict[tuple[Task, Candidate], npt.NDArray[np.float32]] = {}

    def of(self, task: Task, tiles: Sequence[Candidate]) -> list[npt.NDArray[np.float32]]:
        """For each tile, float32 (stores, features)."""
        new = [tile for tile in tiles if (task, tile) not in self._found]
        if new:
            rows = self._extractor.extract_from(self._context(task), [self._candidate(task, tile) for tile in new])
            self._found |= {(task, tile): array.numpy().astype(np.float32)
                            for tile, array in zip(new, rows, strict=True)}
        return [self._found[task, tile] for tile in tiles]

    def _context(self, task: Task) -> Any:
        from tvm.s_tir import meta_schedule as ms

        from toolchain.llvm import tvm_target
        from toolchain.tune.kernel import instance

        if task not in self._contexts:
            with _no_intrinsics():    # one thread: MetaSchedule would ask psutil, which TVM does not bring along
                self._contexts[task] = ms.TuneContext(mod=instance(task, self._target), num_threads=1,
                                                      target=tvm_target(self._target))  # fmt: skip
        return self._contexts[task]

    def _candidate(self, task: Task, tile: Candidate) -> Any:
        from tvm.s_tir import Schedule
        from tvm.s_tir import meta_schedule as ms

        from toolchain.kernels.intrinsics import dot_product
        from toolchain.kernels.schedule import schedule_conv

        assert isinstance(tile, Tile)
        sch = Schedule(self._context(task).mod)
        schedule_conv(sch, task.conv, tile, dot_product(self._target.instruction_set))
        return ms.MeasureCandidate(sch, [])


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
