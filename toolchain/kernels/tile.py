"""How a convolution is laid out in time. Values, not code: tiles are compared, measured and kept in logs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from toolchain.kernels.layout import PACK

if TYPE_CHECKING:
    from toolchain.kernels.intrinsics.dot import Dot
    from toolchain.kernels.spec import Conv


WINOGRAD: Literal["winograd4x4"] = "winograd4x4"
BYTES: Literal["bytes"] = "bytes"

BRIEF = 20
"""Words of a sum that end before the processor is done with what begins and ends a large register tile."""


@dataclass(frozen=True)
class Tile:
    """The order in which a convolution does its work. Every tile gives the same bits.

    Attributes:
        vectors: pixel vectors of the register tile.
        channels: output channels of the register tile: ``vectors * channels`` accumulators stay in registers.
        outer: what a row's outer loop runs over: "columns" does all channels of a column tile before the next tile,
            "channels" does the whole row for some channels before the next ones.
        reduce: outer loop of a sum: the kernel's "taps", or the input's "blocks" of four channels.
        unroll: unroll the innermost loop of a sum.
        algorithm: how sums are made, see `toolchain.kernels.algorithms`; Winograd's has an order of loops of its own.
    """

    vectors: int
    channels: int
    outer: Literal["columns", "channels"] = "columns"
    reduce: Literal["taps", "blocks"] = "taps"
    unroll: bool = False
    algorithm: Literal["direct", "bytes", "winograd4x4"] = "direct"

    def fits(self, conv: Conv, columns: int, dot: Dot) -> bool:
        """Return whether the template can be scheduled by this tile, with ``columns`` pixels in a column tile."""
        vectors, channels = self.vectors, self.channels
        if vectors < 1 or channels < PACK or channels % PACK:
            return False
        if conv.channels // conv.groups % channels:
            return False
        if self.algorithm == WINOGRAD:  # strips of more vectors than a row has overlap
            possible = dot.pairs is not None and WINOGRAD in conv.algorithms
            return possible and columns % (PACK * dot.lanes) == 0
        if self.algorithm == BYTES and (dot.bytes is None or BYTES not in conv.algorithms):
            return False
        return columns % (vectors * dot.lanes) == 0

    def __str__(self) -> str:
        size = f"{self.vectors} vectors x {self.channels} channels"
        if self.algorithm == WINOGRAD:
            return f"Winograd F(4x4,3x3), {size}"
        kind = ["byte pairs"] if self.algorithm == BYTES else []
        words = [*kind, size, f"{self.outer} outside", f"{self.reduce} first"]
        return ", ".join(words + ["unrolled"] * self.unroll)


def default_tile(conv: Conv, columns: int, dot: Dot) -> Tile:
    """Return the tile an untuned build takes: Winograd's where that can be and pays, else the instruction set's own,
    reduced until it divides columns and channels, on pairs of bytes where that can be.
    """
    direct = direct_tile(conv, columns, dot)
    choices = [*_winograd_tiles(conv, dot), replace(direct, algorithm=BYTES), direct]
    return next(tile for tile in choices if tile.fits(conv, columns, dot))


def _winograd_tiles(conv: Conv, dot: Dot) -> list[Tile]:
    """Winograd's, if it pays."""
    if dot.pairs is None or conv.inputs * PACK < dot.pairs.fewest:
        return []
    group = conv.channels // conv.groups
    channels = max(c for c in range(PACK, max(dot.pairs.channels, PACK) + 1, PACK) if group % c == 0)
    return [Tile(dot.pairs.vectors, channels, algorithm=WINOGRAD)]


def direct_tile(conv: Conv, columns: int, dot: Dot) -> Tile:
    """Return the same among tiles of the direct algorithm."""
    words = conv.inputs * math.prod(conv.kernel)
    most = dot.brief if dot.brief is not None and words < BRIEF else dot.vectors
    vectors = max(v for v in range(1, most + 1) if columns % (v * dot.lanes) == 0)
    group = conv.channels // conv.groups
    channels = max(c for c in range(PACK, max(dot.channels, PACK) + 1, PACK) if group % c == 0)
    several = conv.inputs > 1 and max(conv.kernel) > 1  # else both orders are the same
    if dot.pointwise and conv.inputs > 1 and channels < conv.channels and max(conv.kernel) == 1:
        return Tile(vectors, channels, outer="channels", unroll=True)
    return Tile(vectors, channels, reduce=dot.reduce if several else "taps")
