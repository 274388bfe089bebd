"""Choosing the tiles of a build: from the logs where they know a kernel, else the default."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.kernels.tile import Tile, default_tile
from toolchain.schedules.database import find_log, log_folder, need_log
from toolchain.schedules.records import Best
from toolchain.schedules.task import normal
from toolchain.targets import Target

if TYPE_CHECKING:
    from toolchain.kernels.intrinsics.dot import Dot
    from toolchain.kernels.spec import Conv
    from toolchain.lower import Kernel

SIZE = (360, 640)
"""Height and width of the picture that kernels are chosen for if the user names none."""


@dataclass(frozen=True)
class TileChoice:
    """The tile of one kernel, and why.

    Attributes:
        tile: what to build with.
        record: where it was found; None for the default tile of a kernel that no log knows.
        note: why it is none of a faster algorithm, where the weights are the reason.
    """

    tile: Tile
    record: Best | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.tile} ({self._source}{'; ' * bool(self.note)}{self.note})"

    @property
    def _source(self) -> str:
        if self.record is None:
            return "default"
        task = self.record.task
        if not self.record.measured:
            return "by static cost"
        return f"tuned at {task.height}x{task.width}, threads {task.threads}"


@dataclass(frozen=True)
class Tuning:
    """What is known when a network is built.

    Attributes:
        logs: best tiles, log by log; the first that knows a kernel decides.
        height, width: of the picture to be fast for.
        threads: to be fast on.
    """

    logs: tuple[tuple[Best, ...], ...] = ()
    height: int = SIZE[0]
    width: int = SIZE[1]
    threads: int = 1

    def choose(self, kernel: Kernel[Conv], columns: int, dot: Dot) -> TileChoice:
        """Return the tile for ``kernel``, with ``columns`` pixels in a column tile: of its records the one whose size
        is nearest, then the one whose number of threads is.
        """
        from toolchain.kernels.algorithms import refused  # which needs TVM, as nothing else here does

        conv, note = normal(kernel.conv), refused(kernel.conv, dot)
        best = self.nearest(
            lambda best: best.task.conv == conv and isinstance(best.tile, Tile) and best.tile.fits(conv, columns, dot),
            kernel.scale,
        )
        if best is None or not isinstance(best.tile, Tile):
            return TileChoice(default_tile(kernel.conv, columns, dot), note=note)
        return TileChoice(best.tile, best, note)

    def nearest(self, fits: Callable[[Best], bool], scale: Fraction | int = 1) -> Best | None:
        """Return the record of the nearest size out of the first log that has any.

        Args:
            fits: what a record must fulfil.
            scale: the kernel's output pixels for one of the picture, in each direction; 0: a single one.
        """
        for log in self.logs:
            if known := [best for best in log if fits(best)]:
                return min(known, key=lambda best: self._distance(best, scale))
        return None

    def _distance(self, best: Best, scale: Fraction | int) -> tuple[float, float, int, int, int]:
        task = best.task
        pairs = ((task.height, self.height * scale or 1), (task.width, self.width * scale or 1))
        size = sum(abs(math.log(there / here)) for there, here in pairs)
        # What follows the numbers of threads only makes the choice independent of the order of records.
        return (size, abs(math.log(max(task.threads, 1) / self.threads)), task.height, task.width, task.threads)


def read_tuning(target: Target, folders: Iterable[Path] = (), size: tuple[int, int] = SIZE) -> Tuning:
    """Return what the logs in ``folders``, and those that come with the package, know for ``target``.

    Raises:
        TuningError: one of ``folders`` has no log for the target and the installed compiler, or a log is damaged or for
            something else than its name says.
    """
    found = [need_log(folder, target) for folder in folders]
    shipped = find_log(log_folder(), target)
    return Tuning(tuple(log.best() for log in (*found, *([shipped] if shipped else []))), *size, target.cores)
