"""How a convolution's work is cut into work-items and work-groups: the tuning space of the OpenCL templates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from toolchain.targets.gpu import Gpu

PIXELS, VECTORS = (1, 2, 4, 8), (2, 4, 8)
_AXES = ((4, 8, 16, 32, 64), (1, 2, 4, 8, 16), (1, 2, 4))
_LARGEST = 256
"""Work-items of a work-group that are tried at most: the guides of both vendors advise 64 to 256."""


@dataclass(frozen=True)
class LaunchConfig:
    """A choice. Every one of them gives the same bits.

    Attributes:
        pixels: neighbouring pixels of a row that a work-item computes.
        channels: output channels that it computes; ``pixels * channels`` sums stay in registers.
        group: work-items of a work-group along x (columns), y (rows) and z (output channels).
        vector: words, or floats, that a vector load takes at most.
        unroll: write the loop over the kernel's rows out, one row after the other.
    """

    pixels: int
    channels: int
    group: tuple[int, int, int]
    vector: int = 4
    unroll: bool = False

    def __str__(self) -> str:
        words = [
            f"{self.pixels} pixels x {self.channels} channels",
            f"groups {'x'.join(map(str, self.group))}",
            f"loads of {self.vector}",
        ]
        return ", ".join(words + ["unrolled"] * self.unroll)


def pieces(count: int, vector: int) -> tuple[int, ...]:
    """Return the widths of the loads that take ``count`` neighbouring elements, ``vector`` at most, the widest
    first.
    """
    found: list[int] = []
    while vector > 1:
        found += [vector] * (count // vector)
        count, vector = count % vector, vector // 2
    return (*found, *[1] * count)


def all_cuts(gpu: Gpu, channels: tuple[int, ...], total: int, window: int, rows: int) -> Iterator[LaunchConfig]:
    """Yield every cut worth a thought whose work-groups the device can run, the plainest first; no two make the same
    kernel.

    Args:
        gpu: the device.
        channels: of a work-item that its template can do.
        total: output channels.
        window: elements beyond its pixels that a work-item reads of a row.
        rows: of the kernel.
    """
    largest = min(_LARGEST, gpu.largest_group)
    groups = [
        group for group in itertools.product(*_AXES) if prod(group) <= largest and prod(group) % gpu.core.warp == 0
    ]
    for pixels, count in itertools.product(PIXELS, channels):
        loads: dict[tuple[tuple[int, ...], ...], int] = {}
        for vector in VECTORS:
            loads.setdefault((pieces(pixels + window, vector), pieces(count, vector), pieces(pixels, vector)), vector)
        for group, vector, unroll in itertools.product(groups, loads.values(), (False, True)):
            if total // count % group[2] == 0 and (rows > 1 or not unroll):
                yield LaunchConfig(pixels, count, group, vector, unroll)
