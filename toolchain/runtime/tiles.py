"""Large pictures in tiles: each tile carries the receptive field as halo, so that the bytes equal the whole picture's.

A convolutional network's output pixel depends on the input pixels within its receptive field only. A tile is upscaled
together with ``halo`` pixels around it; where the picture ends the halo ends too, so that every layer meets its own
zero padding exactly where it would in the whole picture. What the halo made is cut off.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.images.scale import enlarged
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.bundle import Manifest

Pixels = npt.NDArray[np.uint8]

ALIGNED = 4
"""Tiles with their halo begin at multiples of it, as the tiles of Winograd's float kernels do."""

REFERENCE = 1920
"""The width of an input for which bundles say how large their line buffers are."""

SMALLEST = 16
"""Tiles are not made smaller than this, whatever the memory bound says."""


@dataclass(frozen=True)
class PictureTile:
    """Half-open ranges in input pixels: what a tile is responsible for, and what it needs to read."""

    top: int
    bottom: int
    left: int
    right: int
    source_top: int
    source_bottom: int
    source_left: int
    source_right: int


@dataclass(frozen=True)
class Span:
    """The same in one direction."""

    begin: int
    end: int
    source_begin: int
    source_end: int


@dataclass(frozen=True)
class Tiling:
    """Decides for each picture whether it runs in tiles, and runs it so.

    Attributes:
        scale: of the network; the unit is a multiple of its denominator.
        halo: receptive-field radius in input pixels; `UNBOUNDED_HALO` or more: the network sees the whole picture.
        bytes_per_pixel: working memory of the network per input pixel.
        side: of every tile, in input pixels; None to choose.
        budget: bytes of working memory to keep to where ``side`` is None; None for no bound.
        line_buffers: bytes that all threads need for the rows between the network's kernels, for an input `REFERENCE`
            pixels wide.
        unit: of how many pixels the sides of the network's pictures are multiples: tiles begin at such.
    """

    scale: int | Fraction
    halo: int
    bytes_per_pixel: float
    side: int | None = None
    budget: int | None = None
    line_buffers: int = 0
    unit: int = 1

    @property
    def aligned(self) -> int:
        """Pixels at multiples of which tiles with their halo begin."""
        return math.lcm(ALIGNED, self.unit)

    def side_for(self, height: int, width: int) -> int | None:
        """Return the tiles' side for a picture; None where it runs whole."""
        if self.halo >= UNBOUNDED_HALO or (self.side is None and self.budget is None):
            return None
        if self.side is not None or self.budget is None:
            return self.side
        return choose_tile(
            height,
            width,
            halo=self.halo,
            bytes_per_pixel=self.bytes_per_pixel,
            budget=self.budget,
            aligned=self.aligned,
        )

    def over(self, upscale: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
        """``upscale`` with large pictures in tiles: the same bytes."""

        def tiled(pixels: Pixels) -> Pixels:
            side = self.side_for(pixels.shape[0], pixels.shape[1])
            if side is None:
                return upscale(pixels)
            return upscale_tiled(upscale, pixels, scale=self.scale, halo=self.halo, tile=side, aligned=self.aligned)

        return tiled


def tiling(
    manifest: Manifest, *, side: int | None = None, megabytes: int | None = 512, threads: int | None = None
) -> Tiling:
    """Return how pictures are cut for the network of a bundle.

    Args:
        manifest: of the bundle.
        side: of every tile; None to choose.
        megabytes: of working memory to keep to where ``side`` is None; None for no bound.
        threads: that the network runs in; None for all cores.

    Raises:
        InputError: ``side`` is given, but each output pixel of this network depends on the whole picture.
    """
    if side is not None and manifest.halo >= UNBOUNDED_HALO:
        raise InputError("this network looks at the whole picture at once and cannot run in tiles", hint="--tile off")
    return Tiling(
        manifest.scale,
        manifest.halo,
        manifest.workspace_per_pixel,
        side,
        None if megabytes is None else megabytes * 10**6,
        manifest.line_buffers * (threads or usable_cores()),
        manifest.unit,
    )


def plan_tiles(
    height: int, width: int, tile: int, halo: int, rows: int | None = None, *, aligned: int = ALIGNED, step: int = 1
) -> tuple[PictureTile, ...]:
    """Cut a picture into tiles of at most ``tile`` x ``tile``, in rows from the top left, sides as equal as possible.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        tile: side of the largest tile.
        halo: pixels around it.
        rows: height of the largest tile, where that is not ``tile``.
        aligned: sources begin at multiples of it.
        step: tiles begin at multiples of it, which is one of ``aligned``.

    Raises:
        ValueError: ``tile`` is below 1 or ``halo`` below 0.
    """
    if tile < 1 or halo < 0:
        raise ValueError(f"no plan with tiles of {tile} and a halo of {halo} pixels")
    return tuple(
        PictureTile(
            down.begin,
            down.end,
            across.begin,
            across.end,
            down.source_begin,
            down.source_end,
            across.source_begin,
            across.source_end,
        )
        for down in plan_spans(height, rows or tile, halo, aligned, step)
        for across in plan_spans(width, tile, halo, aligned, step)
    )


def around(halo: int, aligned: int = ALIGNED) -> int:
    """Return pixels that a source has more than its tile, at most."""
    return 2 * halo + 2 * (aligned - 1)


def plan_spans(length: int, longest: int, halo: int, aligned: int = ALIGNED, step: int = 1) -> tuple[Span, ...]:
    """Cut a length into spans of at most ``longest``, as equal as possible.

    All sources are of one length, so that the network's memory, which is kept for each size, is that of one, and begin
    at multiples of ``aligned``; spans begin at multiples of ``step``, which may make one longer by that.
    """
    count = max(1, -(-length // longest))
    edges = [*(length * index // count // step * step for index in range(count)), length]
    source = -(-length // count) + (step - 1) + 2 * halo + (aligned - 1)
    source = length if source > length else source + (length - source) % aligned
    spans = []
    for begin, end in itertools.pairwise(edges):
        first = min(max(0, begin - halo) // aligned * aligned, length - source)
        spans.append(Span(begin, end, first, first + source))
    return tuple(spans)


def upscale_tiled(
    upscale: Callable[[Pixels], Pixels],
    pixels: Pixels,
    *,
    scale: int | Fraction,
    halo: int,
    tile: int,
    rows: int | None = None,
    aligned: int = ALIGNED,
    progress: Callable[[int, int], None] | None = None,
) -> Pixels:
    """Upscale u8 (h, w, C) tile by tile to u8 (h*scale, w*scale, C), byte-equal to ``upscale(pixels)``.

    Args:
        upscale: the network.
        pixels: the picture.
        scale: output pixels per input pixel and direction.
        halo: receptive-field radius of the network in input pixels.
        tile: largest side of a tile without its halo, in input pixels.
        rows: largest height of one, where that is not ``tile``.
        aligned: tiles with their halo begin at multiples of it, which is one of the network's unit.
        progress: called with (tiles done, tiles in all) after each tile.
    """
    height, width = pixels.shape[:2]
    plan = plan_tiles(height, width, tile, halo, rows, aligned=aligned, step=scale.denominator)
    result: Pixels | None = None
    for done, part in enumerate(plan, start=1):
        source = pixels[part.source_top : part.source_bottom, part.source_left : part.source_right]
        big = upscale(np.ascontiguousarray(source))
        if result is None:
            result = np.empty((enlarged(height, scale), enlarged(width, scale), big.shape[2]), np.uint8)
        top, bottom, left, right = (enlarged(place, scale) for place in (part.top, part.bottom, part.left, part.right))
        above, before = enlarged(part.source_top, scale), enlarged(part.source_left, scale)
        result[top:bottom, left:right] = big[top - above : bottom - above, left - before : right - before]
        if progress is not None:
            progress(done, len(plan))
    assert result is not None
    return result


def choose_tile(
    height: int, width: int, *, halo: int, bytes_per_pixel: float, budget: int, aligned: int = ALIGNED
) -> int | None:
    """Return the largest tile whose working memory fits, or None where the whole picture fits.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        halo: receptive-field radius in pixels.
        bytes_per_pixel: working memory of the network per input pixel.
        budget: bytes the work may take.
        aligned: tiles begin at multiples of it.
    """
    if height * width * bytes_per_pixel <= budget:
        return None
    side = math.isqrt(int(budget / bytes_per_pixel)) - around(halo, aligned)
    return max(SMALLEST, side)
