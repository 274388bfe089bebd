"""How a picture is cut so that enlarging it keeps to an amount of memory, and what it takes at least.

What is counted is what grows with pictures: rows on their way from the file, through the network, into the file; the
network's own memory; and the whole picture where a file format wants it at once. The program itself comes on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from toolchain.images import Format, PictureFile, PictureHeader
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.runtime.photo import MARGIN
from toolchain.runtime.tiles import REFERENCE, SMALLEST, Tiling, around
from toolchain.support.errors import InputError

_DECODING_ROWS, _ENCODING_ROWS = 600, 1000  # that libvips holds, with what they are converted from
_PILLOW = 8  # bytes a pixel of Pillow's copy and its encoder's
_COLUMNS = 1024  # of tiles, where pictures are cut
_COPIES_IN, _COPIES_OUT = 5, 5  # of rows: in the network's memory, out of it, in a queue, in hand, being encoded
_SPARE = 1.25  # what the system's allocator wastes on blocks that come and go
_LEAST = 20e6  # bytes of buffers that do not depend on the picture

WAITING = 8_000_000
"""Bytes that may wait in each of the two queues, from a file and into one; what is larger waits alone."""


@dataclass(frozen=True)
class BandPlan:
    """How a picture is worked on.

    Attributes:
        rows: of a band, which goes over the whole width, in input pixels.
        columns: of the tiles that a band is cut into; None where it is not.
        bytes: memory that it takes.
    """

    rows: int
    columns: int | None
    bytes: int


def plan_cut(
    picture: PictureFile,
    header: PictureHeader,
    kind: Format,
    tiling: Tiling,
    *,
    channels: int,
    budget: int | None = None,
) -> BandPlan:
    """Cut a picture for a network.

    Args:
        picture: what is enlarged.
        header: what it becomes.
        kind: the file that it is written into.
        tiling: of the network: a side that is given is kept to, else its budget is where it can be.
        channels: of the network.
        budget: bytes that must not be exceeded; None to say only what it takes.

    Raises:
        InputError: it cannot be done within ``budget``.
    """
    costs = _costs(picture, header, kind, tiling.scale, channels)
    cut = _within(picture, tiling, costs)
    if budget is not None and cut.bytes > budget:
        raise InputError(
            f"{picture.name} takes {_megabytes(cut.bytes)} MB of memory to become {header.width} x {header.height} "
            f"pixels, --memory allows {_megabytes(budget)}",
            hint=f"allow --memory {_megabytes(cut.bytes)}"
            + ("" if kind.streams else ", or write a .png, .jpg or .tiff, of which no more than some rows are held"),
        )
    return cut


def check_free(picture: PictureFile, cut: BandPlan, header: PictureHeader, available: int | None) -> None:
    """Refuse a picture that does not fit into memory, before the system ends the process for it.

    Args:
        picture: what is enlarged.
        cut: how.
        header: what it becomes.
        available: bytes of free memory; None where the system does not tell.

    Raises:
        InputError: it needs more.
    """
    if available is not None and cut.bytes > available:
        raise InputError(
            f"{picture.name}: {header.width} x {header.height} pixels need {cut.bytes / 1e9:.1f} GB of memory, "
            f"{available / 1e9:.1f} GB are free",
            hint="cut the picture into parts",
        )


@dataclass(frozen=True)
class _Costs:
    """Bytes: whatever the bands, and for each input row of a band."""

    fixed: float
    row: float


def _costs(picture: PictureFile, header: PictureHeader, kind: Format, scale: int | Fraction, channels: int) -> _Costs:
    sample = 3 if picture.deep else 1  # 8 bits, and 16 of remainder
    samples = picture.channels + picture.alpha
    row_in = picture.width * samples * sample
    row_out = float(header.width * scale * samples * sample)
    fixed = float(min(_DECODING_ROWS, picture.height) * row_in)
    if not picture.streams:
        fixed = picture.height * picture.width * (samples * (8 if picture.deep else 2) + _PILLOW)
    if kind.streams:
        fixed += 0 if kind.name == "PNG" else min(_ENCODING_ROWS, header.height) * header.row_bytes
    else:
        pixels = header.height * header.width * len(header.durations)
        fixed += pixels * (header.samples + _PILLOW)
    row = _COPIES_IN * row_in + _COPIES_OUT * row_out
    if channels == 1 and picture.channels == 3:
        row += float(20 * header.width * scale)  # the planes of YCbCr, as Pillow has them
    return _Costs(_LEAST + 2 * WAITING + fixed * _SPARE, row * _SPARE)


def _within(picture: PictureFile, tiling: Tiling, costs: _Costs) -> BandPlan:
    height, width, margin = picture.height, picture.width, max(tiling.halo, MARGIN)
    network = tiling.bytes_per_pixel * _SPARE

    def lines(wide: int) -> float:
        """Bytes of line buffers: they fill the cache, and grow with the width where few rows are more than that."""
        return tiling.line_buffers * max(1.0, wide / REFERENCE)

    def cut(rows: int, columns: int | None) -> BandPlan:
        tall = min(height, rows + around(margin, tiling.aligned))
        wide = width if columns is None else min(width, columns + around(tiling.halo, tiling.aligned))
        return BandPlan(rows, columns, int(costs.fixed + lines(wide) + tall * costs.row + tall * wide * network))

    whole = cut(height, None)
    if tiling.halo >= UNBOUNDED_HALO or (tiling.side is None and tiling.budget is None):
        return whole
    if tiling.side is not None or tiling.budget is None:
        side = tiling.side or height
        return cut(min(side, height), None if side >= width else side)
    if whole.bytes <= tiling.budget:
        return whole
    # Narrow tiles, as the network's buffers grow with their width; what they leave is for rows.
    columns = min(width, _COLUMNS)
    wide = min(width, columns + around(tiling.halo, tiling.aligned))
    tall = int((tiling.budget - costs.fixed - lines(wide)) / (costs.row + wide * network))
    return cut(max(SMALLEST, min(height, tall - around(margin, tiling.aligned))), None if columns == width else columns)


def _megabytes(size: float) -> int:
    return math.ceil(size / 1e6)
