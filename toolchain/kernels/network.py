"""What drivers run: kernels in order, and the tensors between them. Values, not code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from toolchain.kernels.bands import Bands, Step, plan_bands
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import View
from toolchain.targets import CACHE

FEWEST, MOST = 2, 32
"""Rows of a band of the finest tensor at least, of the picture at most: fewer are all overhead, more gain nothing."""
_BLOCK = 64  # bytes: what memory begins at multiples of


@dataclass(frozen=True)
class Tensor:
    """A packed tensor: its blocks, the zero point that surrounds the picture, and the type of its words; where these
    are floats, the zero point is 0. ``wide``: its codes have 16 bits, see `toolchain.kernels.layout`. ``single``: it
    has a single pixel, whatever the picture.
    """

    blocks: int
    zero_point: int
    dtype: str = "uint32"
    wide: bool = False
    single: bool = False

    @property
    def view(self) -> View:
        """All of it."""
        return View(self.blocks, 0, self.blocks // 2 if self.wide else self.blocks, self.wide)


@dataclass(frozen=True)
class Picture:
    """Pixels uint8 (height * scale, width * scale, channels), where the kernel works on height x width."""

    channels: int
    scale: int = 1


@dataclass(frozen=True)
class Needs:
    """What a kernel wants of those who call it.

    Attributes:
        rows: it computes so many rows at a time: other numbers of rows waste some.
        workspace: bytes of memory that a call takes for itself.
        further: pixels beyond those that an output depends on which its rounding depends on.
    """

    rows: int = 1
    workspace: int = 0
    further: int = 0

    def at(self, scale: Fraction | int) -> Needs:
        """Return the same in rows of the picture, of a kernel that works on a picture ``scale`` times as high."""
        return replace(self, rows=(self.rows / Fraction(scale)).numerator)

    @staticmethod
    def all(several: Iterable[Needs]) -> Needs:
        """Return what kernels want that run one after the other."""
        found = list(several)
        return Needs(
            math.lcm(*(one.rows for one in found)),
            max((one.workspace for one in found), default=0),
            sum(one.further for one in found),
        )


NOTHING = Needs()


@dataclass(frozen=True)
class Call:
    """A kernel with what it is given.

    Attributes:
        kernel: global symbol of its function.
        step: its operands and its result.
        constants: shape and element type of each of its arrays.
        view: the blocks of the result that it writes; None where that is a picture.
        placed: it is told, before the rows, the number of its first row and how many there are in all.
    """

    kernel: str
    step: Step
    constants: tuple[tuple[tuple[int, ...], str], ...]
    view: View | None
    placed: bool = False


@dataclass(frozen=True)
class Lines:
    """Bytes of line buffers, and what goes with them, that a thread needs for pictures of ``width`` pixels at most:
    ``min(max(cache, few + few_more * width), most + most_more * width) + scratch``.
    """

    cache: int = 0
    few: int = 0
    few_more: int = 0
    most: int = 0
    most_more: int = 0
    scratch: int = 0

    @staticmethod
    def most_of(several: Iterable[Lines]) -> Lines:
        """Return what is enough for each of them."""
        return Lines(*(max(values) for values in zip(*map(astuple, several), strict=True)))


@dataclass(frozen=True)
class Whole:
    """A tensor of a `Stream` that lies in memory whole, with its margins.

    Attributes:
        number: the tensor's.
        rate: its rows for one of the picture, and its columns; 0: it has a single pixel.
        role: "read", "made", or "changed": parts of its channels are written, beside those that are there.
    """

    number: int
    rate: Fraction
    role: Literal["read", "changed", "made"]


@dataclass(frozen=True)
class Stream:
    """A network, or a segment of one, that runs in bands of rows.

    Attributes:
        calls: the kernels in order.
        tensors: what is between them, by the numbers of the steps' buffers.
        source: the picture that comes in; None where a segment does not read it.
        result: the picture that goes out, which the last call writes; None where a segment does not write it.
        geometry: of the tensors, of which there are line buffers only, without a margin of rows.
        cache: bytes of line buffers that a thread aims at.
        needs: what the kernels want, in rows of the picture.
        whole: the tensors that other segments write or read.
    """

    calls: tuple[Call, ...]
    tensors: tuple[Tensor, ...]
    source: Picture | None
    result: Picture | None
    geometry: Geometry
    cache: int = CACHE
    needs: Needs = NOTHING
    whole: tuple[Whole, ...] = ()

    def plan(self) -> Bands:
        """Return which rows are computed when."""
        stored = {whole.number: whole.rate for whole in self.whole}
        return plan_bands([call.step for call in self.calls], len(self.tensors), stored)

    def stored(self, *roles: str) -> tuple[int, ...]:
        """Return the numbers of tensors that are whole, of some roles, in order."""
        return tuple(whole.number for role in roles for whole in self.whole if whole.role == role)

    def workspace(self, width: int) -> int:
        """Return bytes that every thread needs for line buffers, and its kernels beside, for a picture of ``width``
        pixels.
        """
        row, kept, units = self._band(self.plan(), width)
        return int(row * units + kept + self.needs.workspace)

    def band_rows(self, width: int) -> int:
        """Return rows of the picture that a band has, for a picture of ``width`` pixels that is high enough."""
        plan = self.plan()
        return self.rows(plan)[0] * self._band(plan, width)[2]

    def _band(self, plan: Bands, width: int) -> tuple[int, int, int]:
        """Return bytes of line buffers for a unit of rows and for the rows that are kept, and units of a band."""
        _, fewest, most = self.rows(plan)
        row, kept = self.bytes(plan, lambda rate: self.geometry.pitch(self.geometry.tiles(math.ceil(width * rate))))
        return row, kept, max(min((self.cache - kept) // row, most), fewest) if row else most

    def lines(self) -> Lines:
        """Return bounds of `workspace` for any width, and what the blocks that it comes in waste at most."""
        plan = self.plan()
        _, fewest, most = self.rows(plan)
        row, kept = self.bytes(plan, lambda rate: self.geometry.pitch(1) + 1)
        row_more, kept_more = (math.ceil(more) for more in self.bytes(plan, lambda rate: rate))
        blocks = (len(self.tensors) + len(self.calls)) * 2 * _BLOCK
        return Lines(
            self.cache,
            row * fewest + kept,
            row_more * fewest + kept_more,
            row * most + kept,
            row_more * most + kept_more,
            self.needs.workspace + blocks,
        )

    def rows(self, plan: Bands) -> tuple[int, int, int]:
        """Return the unit of a band's rows, in rows of the picture, and how many units a band has at least and at
        most. A unit is whole rows of all tensors, and what the kernels compute at a time.
        """
        unit = math.lcm(plan.unit, self.needs.rows)
        finest = max(*plan.rates, Fraction(1))
        return unit, max(math.ceil(FEWEST / finest / unit), 1), max(MOST // unit, 1)

    def bytes(self, plan: Bands, pitch: Callable[[Fraction], Any]) -> tuple[Any, Any]:
        """Return bytes of all line buffers for a unit of a band's rows, and of all the rows that are kept between
        bands.

        Args:
            plan: of the network.
            pitch: words of a row of a tensor of a rate, as a number or a TVM expression.
        """
        unit, row, kept = self.rows(plan)[0], 0, 0
        lines = [index for index in range(len(self.tensors)) if index not in self.stored("read", "changed", "made")]
        for rate in sorted({plan.rates[index] for index in lines}):
            alike = [index for index in lines if plan.rates[index] == rate]
            sizes = [self.tensors[index].blocks * np.dtype(self.tensors[index].dtype).itemsize for index in alike]
            row += pitch(rate) * (int(unit * rate) * sum(sizes))
            kept += pitch(rate) * sum(size * plan.history[index] for index, size in zip(alike, sizes, strict=True))
        return row, kept
