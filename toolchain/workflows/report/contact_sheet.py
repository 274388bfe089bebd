"""A contact sheet: pairs of pictures, before and after, with captions, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from toolchain.quantize.floats import to_pixels

Pixels = npt.NDArray[np.uint8]

_SIDE = 220  # of a thumbnail, in pixels
_GAP, _LINE, _FONT = 10, 16, 12
_COLUMNS = 2
_ABOVE, _BELOW, _FRAME = (230, 0, 40), (0, 60, 255), (190, 190, 190)


@dataclass(frozen=True)
class Pair:
    """Two u8 pictures (h, w, 3), ``before`` may be missing, and the lines of text below them."""

    caption: tuple[str, ...]
    before: Pixels | None
    after: Pixels


def marked(values: npt.NDArray[np.float32], value_range: tuple[float, float], *, side: int = _SIDE) -> Pixels:
    """Return a thumbnail of a network's output in which every value beyond the range shows, however small its area.

    Args:
        values: float32 (1, C, h, w) in the network's units.
        value_range: black and white.
        side: the longest side of the thumbnail in pixels.

    Returns: u8 (h', w', 3); red where a value in that place is above the range, blue where one is below.
    """
    low, high = value_range
    planes, picture = values[0].transpose(1, 2, 0), to_pixels(values, value_range)
    picture = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    step = max(1, -(-max(picture.shape[:2]) // side))
    small = np.asarray(Image.fromarray(picture).reduce(step)).copy()
    for beyond, colour in ((planes > high, _ABOVE), (planes < low, _BELOW)):
        small[_any(beyond.any(axis=2), step)] = colour
    return small


def _any(mask: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.bool_]:
    """Whether any place of each step x step square is set; squares at the edge may be smaller."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % step), (0, -width % step)))
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(blocks.any(axis=(1, 3)))


def contact_sheet(title: Sequence[str], pairs: Sequence[Pair]) -> Pixels:
    """Lay the pairs out in two columns under the lines of ``title``; u8 (h, w, 3)."""
    columns = min(_COLUMNS, len(pairs))
    cell_width = 2 * _SIDE + _GAP
    rows = [pairs[index : index + columns] for index in range(0, len(pairs), columns)]
    heights = [max(max(p.after.shape[0], 0 if p.before is None else p.before.shape[0]) for p in row) for row in rows]
    lines = max(len(pair.caption) for pair in pairs)
    head = _GAP + _LINE * len(title) + _GAP
    size = (_COLUMNS * (cell_width + 2 * _GAP), head + sum(height + _LINE * lines + 2 * _GAP for height in heights))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(title):
        draw.text((_GAP, _GAP + index * _LINE), line, fill="black", font_size=_FONT + 2)
    top = head
    for row, height in zip(rows, heights, strict=True):
        for column, pair in enumerate(row):
            left = _GAP + column * (cell_width + 2 * _GAP)
            for place, pixels in ((left, pair.before), (left + _SIDE + _GAP, pair.after)):
                if pixels is not None:
                    sheet.paste(Image.fromarray(pixels), (place, top))
                    draw.rectangle((place, top, place + pixels.shape[1] - 1, top + pixels.shape[0] - 1), outline=_FRAME)
            for index, line in enumerate(pair.caption):
                draw.text((left, top + height + 3 + index * _LINE), line, fill="black", font_size=_FONT)
        top += height + _LINE * lines + 2 * _GAP
    return np.asarray(sheet)
