"""The tiles among which a kernel's best is looked for; another kind of target would add a space of its own."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from toolchain.kernels.layout import PACK
from toolchain.kernels.tile import BYTES, WINOGRAD, Tile, default_tile, direct_tile

if TYPE_CHECKING:
    from toolchain.kernels.intrinsics.dot import Dot
    from toolchain.kernels.spec import Conv


_STRIP = 3
"""Vectors of tiles in a strip, at most: narrow pictures fill no more, and wide ones gain nothing by them."""


def tiles(conv: Conv, columns: int, dot: Dot) -> tuple[Tile, ...]:
    """Return every tile of ``conv`` worth a try, the default one first; no two of them make the same loops.

    Args:
        conv: the kernel.
        columns: pixels in a column tile of its tensors.
        dot: the instruction set's dot product.
    """
    group = conv.channels // conv.groups
    blocks, rows, taps = dot.steps(conv.inputs, conv.kernel)
    vectors = [v for v in range(1, columns // dot.lanes + 1) if columns % (v * dot.lanes) == 0]
    channels = [c for c in range(PACK, group + 1, PACK) if group % c == 0]
    found = [default_tile(conv, columns, dot), direct_tile(conv, columns, dot)]
    for v, c in itertools.product(vectors, channels):
        if v * c > dot.registers:
            continue
        for outer in ("columns", "channels") if c < conv.channels else ("columns",):
            for reduce in ("taps", "blocks") if blocks > 1 and rows * taps > 1 else ("taps",):
                found.append(Tile(v, c, outer, reduce))
                if blocks > 1 if reduce == "taps" else taps > 1 and not dot.whole_taps:  # the innermost loop of a sum
                    found.append(Tile(v, c, outer, reduce, unroll=True))
    on_bytes = [replace(tile, algorithm=BYTES) for tile in found if tile.algorithm != WINOGRAD]
    found += [tile for tile in on_bytes if tile.fits(conv, columns, dot)]
    return tuple(dict.fromkeys([*found, *_winograd(conv, columns, dot, channels)]))


def _winograd(conv: Conv, columns: int, dot: Dot, channels: list[int]) -> list[Tile]:
    """Winograd's tiles, of which sums, inputs and a vector of weights fit into the registers."""
    found = [
        Tile(v, c, algorithm=WINOGRAD)
        for v, c in itertools.product(range(1, _STRIP + 1), channels)
        if v * (c + 1) < dot.registers
    ]
    return [tile for tile in found if tile.fits(conv, columns, dot)]
