"""The tiles among which a kernel's best is looked for; another kind of target would add a space of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from toolchain.kernels.layout import PACK
from toolchain.kernels.tile import Tile, default_tile

if TYPE_CHECKING:
    from toolchain.kernels.intrinsics.dot import Dot
    from toolchain.kernels.spec import Conv


def tiles(conv: Conv, columns: int, dot: Dot) -> tuple[Tile, ...]:
    """Every tile of ``conv`` worth a try, the default one first; no two of them make the same loops.

    Args:
        conv: the kernel.
        columns: pixels in a column tile of its tensors.
        dot: the instruction set's dot product.
    """
    group = conv.channels // conv.groups
    blocks, rows, taps = dot.steps(conv.source.count // conv.groups, conv.kernel)
    vectors = [v for v in range(1, columns // dot.lanes + 1) if columns % (v * dot.lanes) == 0]
    channels = [c for c in range(PACK, group + 1, PACK) if group % c == 0]
    found = [default_tile(conv, columns, dot)]
    for v, c in itertools.product(vectors, channels):
        if v * c > dot.registers:
            continue
        for outer in ("columns", "channels") if c < conv.channels else ("columns",):
            for reduce in ("taps", "blocks") if blocks > 1 and rows * taps > 1 else ("taps",):
                found.append(Tile(v, c, outer, reduce))
                if blocks > 1 if reduce == "taps" else taps > 1 and not dot.whole_taps:  # the innermost loop of a sum
                    found.append(Tile(v, c, outer, reduce, unroll=True))
    return tuple(dict.fromkeys(found))
