"""Tensors in phases: the pixels that a step of a stride skips lie one block after the other, see `ConvShape`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

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
