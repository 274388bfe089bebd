"""How a convolution is laid out in time. Values, not code: tiles are compared, measured and kept in logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from toolchain.kernels.layout import PACK

if TYPE_CHECKING:
    from toolchain.kernels.intrinsics.dot import Dot
    from toolchain.kernels.spec import Conv


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
    """

    vectors: int
    channels: int
    outer: Literal["columns", "channels"] = "columns"
    reduce: Literal["taps", "blocks"] = "taps"
    unroll: bool = False

    def fits(self, conv: Conv, columns: int, dot: Dot) -> bool:
        """Whether the template can be scheduled by this tile, with ``columns`` pixels in a column tile."""
        vectors, channels = self.vectors, self.channels
        if vectors < 1 or channels < PACK or channels % PACK:
            return False
        return columns % (vectors * dot.lanes) == 0 and conv.channels // conv.groups % channels == 0

    def __str__(self) -> str:
        words = [f"{self.vectors} vectors x {self.channels} channels", f"{self.outer} outside", f"{self.reduce} first"]
        return ", ".join(words + ["unrolled"] * self.unroll)


def default_tile(conv: Conv, columns: int, dot: Dot) -> Tile:
    """The tile an untuned build takes: the instruction set's own, reduced until it divides columns and channels."""
    vectors = max(v for v in range(1, dot.vectors + 1) if columns % (v * dot.lanes) == 0)
    group = conv.channels // conv.groups
    channels = max(c for c in range(PACK, max(dot.channels, PACK) + 1, PACK) if group % c == 0)
    several = conv.source.count > conv.groups and max(conv.kernel) > 1  # else both orders are the same
    return Tile(vectors, channels, reduce=dot.reduce if several else "taps")
