"""What a CPU's tile looks like to the cost model: the loops it makes, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

import numpy as np
import numpy.typing as npt

from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.tile import BYTES, WINOGRAD, Tile
from toolchain.kernels.winograd import transforms
from toolchain.schedules.records import Candidate
from toolchain.schedules.task import Task
from toolchain.targets import Target


class TileFeatures:
    """The extents of a kernel's loops and what its register tile costs, extents as logarithms."""

    def __init__(self, target: Target) -> None:
        self._dot = dot_product(target.instruction_set)

    def of(self, task: Task, tiles: Sequence[Candidate]) -> npt.NDArray[np.float32]:
        """Describe each tile: float32 (tiles, features)."""
        return np.array([self._row(task, tile) for tile in tiles], np.float32)

    def _row(self, task: Task, tile: Candidate) -> list[float]:
        assert isinstance(tile, Tile)
        conv, dot = task.conv, self._dot
        steps = dot.steps(conv.inputs, conv.kernel)
        outputs, accumulators = conv.channels // conv.groups, tile.vectors * tile.channels
        products = prod(steps) / (transforms.SAVING if tile.algorithm == WINOGRAD else 1)
        extents = (
            *steps,
            products,
            outputs,
            conv.groups,
            max(conv.dilation),
            task.height,
            task.width,
            max(task.threads, 1),
            tile.vectors,
            tile.channels,
            accumulators,
            outputs / tile.channels,
        )
        return [
            *map(log2, extents),
            accumulators / dot.registers,
            1 / tile.vectors + 1 / tile.channels,  # loads a product: of weights, and of pixels
            tile.outer == "channels",
            tile.reduce == "blocks",
            tile.unroll,
            tile.algorithm == WINOGRAD,
            tile.algorithm == BYTES,
            conv.requantize.slopes,
            conv.requantize.residual is not None,
            conv.pixels.scale if conv.pixels else 0,
        ]
