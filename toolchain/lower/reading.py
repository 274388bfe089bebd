"""How a kernel that keeps its picture's size computes a convolution that pads as it likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.frontend.window import Window
from toolchain.kernels.phases import above, reach
from toolchain.lower.chain import Step
from toolchain.lower.down import growth
from toolchain.reference.steps import Codes, ConvStep, WindowStep


@dataclass(frozen=True, eq=False)
class Reading:
    """What the kernel reads and what is left of what it computes.

    Attributes:
        source: the tensor.
        pads: (top, left): how far the kernel reads above and left of a pixel, where it has a stride of 1, else padding.
        reach: rows and columns that it reads beside a pixel in all.
        border: what surrounds the picture as far as it is read; None: the zero point.
        added: pixels of zero point that the picture is given first; None for most.
        cut: rows and columns at the end that are no result.
        above: rows and columns of the tensor in phases that the kernel reads before a place, where it has a stride.
    """

    source: Codes
    pads: tuple[int, int]
    reach: tuple[int, int]
    border: Window | None = None
    added: Window | None = None
    cut: tuple[int, int] = (0, 0)
    above: tuple[int, int] | None = None

    @property
    def margin(self) -> int:
        """Rows or columns of surroundings that are read at most, on any side."""
        before = self.above or self.pads
        return max(*before, *(reach - pad for reach, pad in zip(self.reach, before, strict=True)))


def read(step: ConvStep, steps: Mapping[Any, Step | None]) -> Reading:
    """Return how a convolution is computed; a border that was added for it alone need not be stored."""
    if step.convolution.strides != (1, 1):
        return _in_steps(step)
    far, (top, left, bottom, right) = step.convolution.reach, step.convolution.pads
    growth = (top + bottom - far[0], left + right - far[1])  # rows and columns more than its input has
    inner = steps.get(step.source.tensor)
    if isinstance(inner, WindowStep) and growth == (-far[0], -far[1]) and inner.window.grows:
        over, before, under, behind = inner.window.pads
        if (over + under, before + behind) == far:
            plain = inner.window.mode == "constant" and inner.fill == inner.out.quantization.zero_point
            return Reading(inner.source, (over, before), far, None if plain else inner.window)
    pads = (min(top, far[0]), min(left, far[1]))
    first = (top - pads[0], left - pads[1])
    last = (max(growth[0], 0) - first[0], max(growth[1], 0) - first[1])
    added = Window((*first, *last)) if any(first + last) else None
    return Reading(step.source, pads, far, None, added, (max(-growth[0], 0), max(-growth[1], 0)))


def _in_steps(step: ConvStep) -> Reading:
    """Return how a convolution with a stride is computed; the tensor that it reads is then laid into phases."""
    given, grown = step.convolution, growth(step)
    pads = (given.pads[0], given.pads[1])
    kernel = (int(given.weight.shape[2]), int(given.weight.shape[3]))
    more = [max(side, 0) * steps for side, steps in zip(grown, given.strides, strict=True)]
    added = Window((0, 0, more[0], more[1])) if max(grown) > 0 else None
    return Reading(
        step.source,
        pads,
        reach(kernel, given.dilations, pads, given.strides),
        added=added,
        cut=(max(-grown[0], 0), max(-grown[1], 0)),
        above=above(pads, given.strides),
    )
