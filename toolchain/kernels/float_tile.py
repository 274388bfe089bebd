"""The register tile of a float convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tvm import tirx

from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.vectors import Vectors

ENOUGH = 8
"""Sums in flight that hide the latency of multiply-add: 4 cycles, 2 a cycle."""


WINOGRAD: Literal["winograd4"] = "winograd4"

_STRIP = 2
"""Vectors of tiles in a strip of Winograd's, at most: what they are transformed to shall stay near the processor."""


@dataclass(frozen=True)
class FloatTile:
    """How a convolution is computed; the order of an output's sums, and so its bits, are the algorithm's alone.

    Attributes:
        vectors: pixel vectors whose sums stay in registers.
        channels: output channels whose sums stay in registers.
        algorithm: see `toolchain.kernels.float_algorithms`.
    """

    vectors: int
    channels: int
    algorithm: Literal["direct", "winograd4"] = "direct"

    def blocks(self, group: int) -> int:
        """Return how many times a group of so many output channels is gone through."""
        return -(-group // self.channels)

    def first(self, group: int, block: Any) -> Any:
        """Return the group's channel that a block begins with: the last block ends where the group does."""
        last = group - self.channels
        if isinstance(block, int):
            return min(block * self.channels, last)
        return block * self.channels if group % self.channels == 0 else tirx.min(block * self.channels, last)

    def __str__(self) -> str:
        size = f"{self.vectors} vectors x {self.channels} channels"
        return f"Winograd F(4,3) along rows, {size}" if self.algorithm == WINOGRAD else size


def choose_tile(conv: FloatConv, vectors: Vectors) -> FloatTile:
    """Winograd's where it pays; enough sums to hide latencies, no more than leave registers free, and then the fewest
    loads per multiply-add that counts: where a group's channels are no multiple of a tile's, some are done twice.
    """
    group, strips = conv.channels // conv.groups, vectors.columns // vectors.lanes
    counts = [v for v in range(1, strips + 1) if strips % v == 0]
    algorithm: Literal["direct", "winograd4"] = "direct"
    if _winograd_pays(conv, vectors):
        counts, algorithm = list(range(1, _STRIP + 1)), WINOGRAD
    tiles = [FloatTile(v, c, algorithm) for v in counts for c in range(1, group + 1)]

    def worth(tile: FloatTile) -> tuple[bool, bool, float]:
        sums = tile.vectors * tile.channels
        return (
            sums + tile.vectors < vectors.registers,
            ENOUGH <= sums <= vectors.sums,
            sums / (tile.vectors + tile.channels) * group / (tile.blocks(group) * tile.channels),
        )

    return max(tiles, key=worth)


def _winograd_pays(conv: FloatConv, vectors: Vectors) -> bool:
    few = vectors.fewest is None or conv.inputs < vectors.fewest
    return not few and conv.kernel == (3, 3) and conv.dilation == conv.stride == (1, 1)
