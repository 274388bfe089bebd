"""How a kernel that keeps its picture's size computes a convolution that pads as it likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.frontend.window import Window
from toolchain.lower.chain import Step
from toolchain.reference.steps import Codes, ConvStep, WindowStep


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

    source: Codes
    pads: tuple[int, int]
    reach: tuple[int, int]
    border: Window | None = None
    added: Window | None = None
    cut: tuple[int, int] = (0, 0)

    @property
    def margin(self) -> int:
        """Rows or columns of surroundings that are read at most, on any side."""
        return max(*self.pads, *(reach - pad for reach, pad in zip(self.reach, self.pads, strict=True)))


def read(step: ConvStep, steps: Mapping[Any, Step | None]) -> Reading:
    """Return how a convolution is computed; a border that was added for it alone need not be stored."""
    reach, (top, left, bottom, right) = step.convolution.reach, step.convolution.pads
    growth = (top + bottom - reach[0], left + right - reach[1])  # rows and columns more than its input has
    inner = steps.get(step.source.tensor)
    if isinstance(inner, WindowStep) and growth == (-reach[0], -reach[1]) and inner.window.grows:
        over, before, under, behind = inner.window.pads
        if (over + under, before + behind) == reach:
            plain = inner.window.mode == "constant" and inner.fill == inner.out.quantization.zero_point
            return Reading(inner.source, (over, before), reach, None if plain else inner.window)
    pads = (min(top, reach[0]), min(left, reach[1]))
    first = (top - pads[0], left - pads[1])
    last = (max(growth[0], 0) - first[0], max(growth[1], 0) - first[1])
    added = Window((*first, *last)) if any(first + last) else None
    return Reading(step.source, pads, reach, None, added, (max(-growth[0], 0), max(-growth[1], 0)))
