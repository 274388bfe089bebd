"""WebP, GIF, BMP and PPM by Pillow, whose encoders want a picture, or all frames of one, at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from PIL import Image

from toolchain.images import colour
from toolchain.images.formats import Format, PictureHeader
from toolchain.images.photo import Photo, stacked
from toolchain.support.errors import InputError

Frames = Iterable[Iterable[Photo]]


def write_whole(file: IO[bytes], header: PictureHeader, frames: Frames, kind: Format, *, quality: int) -> None:
    """Write a picture in a format of Pillow's.

    Args:
        file: opened for writing.
        header: what is written.
        frames: rows of each frame.
        kind: the format.
        quality: 1 to 100, of WebP.

    Raises:
        InputError: the format cannot hold this picture.
        OSError: ``file`` cannot be written.
    """
    images = [_image(stacked(list(rows)), header, kind) for rows in frames]
    options: dict[str, Any] = {}
    metadata = header.metadata
    if kind.quality:
        options["quality"] = quality
    if kind.profile:
        found = {"icc_profile": metadata.icc_profile, "exif": metadata.exif, "xmp": metadata.xmp}
        options.update({name: value for name, value in found.items() if value is not None})
    if len(images) > 1:
        options.update(save_all=True, append_images=images[1:], duration=_durations(header))
        if kind.name == "GIF":
            options.update(disposal=2, **({} if header.plays == 1 else {"loop": max(0, header.plays - 1)}))
        else:
            options["loop"] = header.plays
    try:
        images[0].save(file, kind.name, **options)
    except (ValueError, KeyError) as error:
        raise InputError(f"this picture cannot be written as {kind.suffixes[0]}", hint="write a .png") from error


def _image(photo: Photo, header: PictureHeader, kind: Format) -> Image.Image:
    pixels = photo.pixels
    if not kind.profile and header.metadata.icc_profile is not None:
        pixels = colour.pixels_to_srgb(pixels, header.metadata.icc_profile)
    if photo.alpha is not None and header.alpha:
        pixels = np.concatenate([pixels, photo.alpha[:, :, None]], axis=2)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))


def _durations(header: PictureHeader) -> list[int]:
    return [round(value) for value in header.durations]
