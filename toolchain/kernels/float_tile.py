"""The register tile of a float convolution."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.vectors import Vectors

ENOUGH = 8
"""Sums in flight that hide the latency of multiply-add: 4 cycles, 2 a cycle."""


@dataclass(frozen=True)
class FloatTile:
    """Pixel vectors and output channels whose sums stay in registers. Every tile gives the same bits."""

    vectors: int
    channels: int

    def __str__(self) -> str:
        return f"{self.vectors} vectors x {self.channels} channels"


def choose_tile(conv: FloatConv, vectors: Vectors) -> FloatTile:
    """Enough sums to hide latencies, no more than leave registers free, and then the fewest loads per multiply-add."""
    group, strips = conv.channels // conv.groups, vectors.columns // vectors.lanes
    tiles = [
        FloatTile(v, c) for v in range(1, strips + 1) if strips % v == 0 for c in range(1, group + 1) if group % c == 0
    ]

    def worth(tile: FloatTile) -> tuple[bool, bool, float]:
        sums = tile.vectors * tile.channels
        return (
            sums + tile.vectors < vectors.registers,
            ENOUGH <= sums <= vectors.sums,
            sums / (tile.vectors + tile.channels),
        )

    return max(tiles, key=worth)
