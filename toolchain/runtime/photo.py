"""From a photograph to a larger one: grey, RGB, transparency, and networks that only know luma."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolchain.atomic import atomic_write
from toolchain.errors import InputError
from toolchain.images import Photo, to_channels

Pixels = npt.NDArray[np.uint8]


def upscale_photo(photo: Photo, upscale: Callable[[Pixels], Pixels], *, channels: int, scale: int) -> Photo:
    """Upscale a photograph with a network of ``channels`` 1 (luma) or 3 (RGB); grey stays grey.

    A luma network gets Y of YCbCr (JPEG's, full range), chroma is enlarged bicubically. Alpha is enlarged bicubically.

    Args:
        photo: what ``read_photo`` gives.
        upscale: u8 (h, w, ``channels``) to u8 (h*scale, w*scale, ``channels``).
        channels: of the network.
        scale: of the network.
    """
    if channels == 1 and photo.pixels.shape[2] == 3:
        pixels = _luma_only(photo.pixels, upscale, scale)
    else:
        pixels = to_channels(upscale(to_channels(photo.pixels, channels)), photo.pixels.shape[2])
    alpha = None if photo.alpha is None else bicubic(photo.alpha, scale)
    return Photo(pixels, alpha, photo.icc_profile)


def bicubic(plane: Pixels, scale: int) -> Pixels:
    """Enlarge u8 (h, w) or (h, w, 3) by ``scale`` with Pillow's bicubic filter."""
    height, width = plane.shape[:2]
    return np.asarray(Image.fromarray(plane).resize((width * scale, height * scale), Image.Resampling.BICUBIC))


def check_memory(height: int, width: int, *, scale: int, available: int | None) -> None:
    """Refuse a picture whose enlargement does not fit into memory, before the system ends the process for it.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        scale: of the network.
        available: bytes of free memory; None where the system does not tell.

    Raises:
        InputError: the enlarged picture, with the copy that its file is made from, needs more.
    """
    needed = 2 * 4 * height * width * scale * scale
    if available is not None and needed > available:
        raise InputError(
            f"{width * scale} x {height * scale} pixels need {needed / 1e9:.1f} GB of memory, "
            f"{available / 1e9:.1f} GB are free",
            hint="cut the picture into parts",
        )


def check_output(path: Path) -> None:
    """Refuse a file name whose suffix is no picture format, before any work is done.

    Raises:
        InputError: no suffix, or one that Pillow cannot write.
    """
    _format(path)


def write_photo(path: Path, photo: Photo) -> None:
    """Write a photograph in the format of ``path``'s suffix (JPEG at quality 95), wholly or not at all.

    Raises:
        InputError: the format cannot hold this picture.
        OutputError: the file cannot be written.
    """
    kind = _format(path)
    planes = [photo.pixels] if photo.alpha is None else [photo.pixels, photo.alpha[:, :, None]]
    if photo.alpha is not None and kind in ("JPEG", "BMP", "PPM"):
        if photo.alpha.min() < 255:
            raise InputError(f"{path.name} cannot hold transparency", hint="write a .png")
        planes.pop()
    pixels = np.concatenate(planes, axis=2)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
    options: dict[str, object] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    if photo.icc_profile and kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        options["icc_profile"] = photo.icc_profile
    with atomic_write(path) as file:
        try:
            image.save(file, kind, **options)
        except (ValueError, KeyError) as error:
            raise InputError(f"{path.name} cannot hold this picture: {error}", hint="write a .png") from error


def _format(path: Path) -> str:
    kinds = Image.registered_extensions()
    kind = kinds.get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise InputError(
            f"{path.name or path} does not end as a picture does", hint="write a .png, .jpg, .webp or .tiff"
        )
    return kind


def _luma_only(pixels: Pixels, upscale: Callable[[Pixels], Pixels], scale: int) -> Pixels:
    colours = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
    luma = upscale(np.ascontiguousarray(colours[:, :, :1]))
    chroma = [bicubic(np.ascontiguousarray(colours[:, :, index]), scale) for index in (1, 2)]
    joined = Image.merge("YCbCr", [Image.fromarray(plane) for plane in (luma[:, :, 0], *chroma)])
    return np.asarray(joined.convert("RGB"))
