"""How a kernel that keeps its picture's size computes a convolution that pads as it likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.frontend.window import Window
from toolchain.lower.chain import Chain, ConvChain, Term, WindowChain


@dataclass(frozen=True, eq=False)
class Reading:
    """What the kernel reads and what is left of what it computes.

    Attributes:
        source: the tensor.
        pads: (top, left): how far the kernel reads above and left of a pixel.
        reach: rows and columns that it reads beside a pixel in all.
        border: what surrounds the picture as far as it is read; None: the zero point.
        added: pixels of zero point that the picture is given first; None for most.
        cut: rows and columns at the end that are no result.
    """

    source: Term
    pads: tuple[int, int]
    reach: tuple[int, int]
    border: Window | None = None
    added: Window | None = None
    cut: tuple[int, int] = (0, 0)

    @property
    def margin(self) -> int:
        """Rows or columns of surroundings that are read at most, on any side."""
        return max(*self.pads, *(reach - pad for reach, pad in zip(self.reach, self.pads, strict=True)))


def read(chain: ConvChain, chains: Mapping[Any, Chain | None]) -> Reading:
    """How ``chain`` is computed; a border that was added for it alone need not be stored."""
    rows, columns = ((k - 1) * d for k, d in zip(chain.weight.shape[2:], chain.dilation, strict=True))
    reach = (rows, columns)
    inner = chains.get(chain.source.var)
    if isinstance(inner, WindowChain) and chain.growth == (-rows, -columns) and inner.window.grows:
        top, left, bottom, right = inner.window.pads
        if (top + bottom, left + right) == reach:
            plain = inner.window.mode == "constant" and inner.fill == inner.output.zero_point
            return Reading(inner.source, (top, left), reach, None if plain else inner.window)
    pads = tuple(min(pad, most) for pad, most in zip(chain.pads, reach, strict=True))
    before = [given - pad for given, pad in zip(chain.pads, pads, strict=True)]
    behind = [max(growth, 0) - first for growth, first in zip(chain.growth, before, strict=True)]
    added = Window((before[0], before[1], behind[0], behind[1])) if any(before + behind) else None
    cut = (max(-chain.growth[0], 0), max(-chain.growth[1], 0))
    return Reading(chain.source, (pads[0], pads[1]), reach, None, added, cut)
