"""Tensors in phases: the pixels that a step of a stride skips lie one block after the other, see `ConvShape`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from toolchain.kernels.layout import PACK
from toolchain.kernels.view import View

Pair: TypeAlias = tuple[int, int]


def above(pads: Pair, stride: Pair) -> Pair:
    """Return rows and columns that are read before a place, of an input in phases (`ConvShape`)."""
    rows, columns = (-(-pad // step) for pad, step in zip(pads, stride, strict=True))
    return rows, columns


def reach(kernel: Sequence[int], dilation: Sequence[int], pads: Pair = (0, 0), stride: Pair = (1, 1)) -> Pair:
    """Return rows and columns between the first tap and the last of a kernel (height, width), of an input in phases."""
    before = above(pads, stride)
    rows, columns = (
        first + ((taps - 1) * apart - pad) // step
        for first, taps, apart, pad, step in zip(before, kernel, dilation, pads, stride, strict=True)
    )
    return rows, columns


@dataclass(frozen=True)
class DepthToSpace:
    """Depth-to-space; where a convolution has it, the output is stored as pixels instead of packed codes.

    Attributes:
        scale: the upscaling factor.
        channels: of the result; of a picture 1 or 3.
        table: output channel of the convolution for every (dy, dx, channel), row-major.
    """

    scale: int
    channels: int
    table: tuple[int, ...]

    def places(self) -> Iterator[tuple[int, int, int, int]]:
        """(dy, dx, channel, output channel of the convolution) of everything that one input pixel becomes."""
        for index, slot in enumerate(self.table):
            pixel, channel = divmod(index, self.channels)
            yield pixel // self.scale, pixel % self.scale, channel, slot

    def words(self) -> Iterator[tuple[int, int, int, tuple[int | None, ...]]]:
        """(dy, dx, block, a slot for each of its channels) of every word of a packed tensor that one pixel becomes;
        None: there is no such channel.
        """
        for block in range(0, self.channels, PACK):
            for pixel in range(self.scale**2):
                start = pixel * self.channels + block
                slots = self.table[start : start + min(PACK, self.channels - block)]
                yield (pixel // self.scale, pixel % self.scale, block // PACK, (*slots, *[None] * (PACK - len(slots))))


@dataclass(frozen=True)
class SpaceToDepth:
    """Squares of pixels as blocks: of each block of ``source``, ``size`` * ``size`` of ``target``, the square's first
    row first. Words stay what they are; ``zero_point`` surrounds them.
    """

    source: View
    size: int
    target: View
    zero_point: int


@dataclass(frozen=True)
class Pool:
    """The largest code of every window, of an input in phases (`ConvShape`).

    Attributes:
        source: its blocks, of all phases, surrounded by codes of 0 where windows reach beyond.
        kernel, pads, dilation, stride: as of a `ConvShape`.
        target: blocks the output is written to.
        zero_point: what surrounds it.
    """

    source: View
    kernel: tuple[int, int]
    pads: tuple[int, int]
    dilation: tuple[int, int]
    stride: tuple[int, int]
    target: View
    zero_point: int

    @property
    def reach(self) -> Pair:
        """Rows and columns between the first place that is read and the last."""
        return reach(self.kernel, self.dilation, self.pads, self.stride)

    @property
    def above(self) -> Pair:
        """Rows and columns read before a place."""
        return above(self.pads, self.stride)
