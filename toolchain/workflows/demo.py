"""The demo: a real photograph, made small, upscaled by a bundle, and put side by side with bicubic and the original."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from toolchain.images import Photo, read_photo, write_photo
from toolchain.images.bicubic import enlarge, shrink
from toolchain.images.scale import cropped
from toolchain.runtime.photo import upscale_photo
from toolchain.support.errors import CalibrationError
from toolchain.workflows.evaluate import Quality, quality

Pixels = npt.NDArray[np.uint8]

_BAR = 22  # height of the captions in pixels


@dataclass(frozen=True)
class Demo:
    """The pictures written, and their quality against the original.

    Attributes:
        files: written.
        bicubic: quality of bicubic enlargement.
        network: quality of the network.
        small: what was enlarged, u8 (h, w, 3).
    """

    files: tuple[Path, ...]
    bicubic: Quality
    network: Quality
    small: Pixels


def make_demo(
    photographs: tuple[Path, ...],
    upscale: Callable[[Pixels], Pixels],
    *,
    channels: int,
    scale: int | Fraction,
    out: Path,
) -> Demo:
    """Write small.png, bicubic.png, clipfree.png and before-after.png into ``out``.

    Args:
        photographs: as ``demo_photographs`` gives them; the astronaut is used where she is there, else the first.
        upscale: the network.
        channels: of the network.
        scale: of the network.
        out: a folder, made if it is not there.

    Raises:
        CalibrationError: no photograph.
        OutputError: ``out`` cannot be written.
    """
    if not photographs:
        raise CalibrationError("there is no photograph for the demo")
    path = next((photo for photo in photographs if photo.stem == "astronaut"), photographs[0])
    original = read_photo(path).pixels
    height, width = (cropped(side, scale) for side in original.shape[:2])
    original = np.ascontiguousarray(original[:height, :width])
    small = shrink(original, scale)
    bicubic = enlarge(small, scale)
    found = upscale_photo(Photo(small), upscale, channels=channels, scale=scale).pixels
    qualities = [quality(picture, original, math.ceil(scale)) for picture in (bicubic, found)]
    captions = [
        f"bicubic, {qualities[0].psnr_y:.2f} dB (Y)",
        f"clipfree INT8, {qualities[1].psnr_y:.2f} dB (Y)",
        "original",
    ]
    pictures = {
        "small.png": small,
        "bicubic.png": bicubic,
        "clipfree.png": found,
        "before-after.png": side_by_side([bicubic, found, original], captions, box=_box(height, width)),
    }
    for name, pixels in pictures.items():
        write_photo(out / name, Photo(pixels))
    return Demo(tuple(out / name for name in pictures), qualities[0], qualities[1], small)


def side_by_side(
    pictures: list[Pixels], captions: list[str], *, box: tuple[int, int, int, int], zoom: int = 2
) -> Pixels:
    """Return the same cut of several pictures u8 (h, w, 3), enlarged without smoothing, captions below: one u8 picture.

    Args:
        pictures: of one size.
        captions: one for each.
        box: left, top, right, bottom of the cut.
        zoom: whole number.
    """
    width, height = (box[2] - box[0]) * zoom, (box[3] - box[1]) * zoom
    sheet = Image.new("RGB", (len(pictures) * (width + 4) - 4, height + _BAR), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (pixels, caption) in enumerate(zip(pictures, captions, strict=True)):
        cut = Image.fromarray(pixels).crop(box).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(cut, (index * (width + 4), 0))
        draw.text((index * (width + 4) + 4, height + 5), caption, fill="black")
    return np.asarray(sheet)


def _box(height: int, width: int) -> tuple[int, int, int, int]:
    """Return the upper middle, where the astronaut's face is."""
    side = min(height, width) * 3 // 8
    left, top = width * 7 // 25, height // 50
    return left, top, min(width, left + side), min(height, top + side)
