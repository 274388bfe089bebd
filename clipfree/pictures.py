"""Arrays and Pillow's images as the toolchain's photographs, and back."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolchain.images import Photo, read_photo
from toolchain.support.errors import InputError

Pixels = npt.NDArray[np.uint8]

_PNG = ("1", "L", "LA", "I;16", "P", "PA", "RGB", "RGBA")


def photo_of_array(pixels: Pixels) -> Photo:
    """Return u8 (h, w), (h, w, 1), (h, w, 3), or with alpha (h, w, 4), as a photograph.

    Raises:
        InputError: it is something else.
    """
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if planes.dtype != np.uint8 or planes.ndim != 3 or planes.shape[2] not in (1, 3, 4) or not planes.size:
        raise InputError(
            f"{pixels.dtype} {pixels.shape} is no picture",
            hint="pictures are uint8 of the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)",
        )
    colours, alpha = planes[:, :, :3], planes[:, :, 3] if planes.shape[2] == 4 else None
    return Photo(np.ascontiguousarray(colours), None if alpha is None else np.ascontiguousarray(alpha))


def array_of(photo: Photo, like: Pixels) -> Pixels:
    """Return a photograph as an array whose dimensions are those of ``like``."""
    return photo.planes[:, :, 0] if like.ndim == 2 else photo.planes


def photo_of_image(image: Image.Image) -> Photo:
    """Return an image of any mode as a photograph: read as the PNG that it can be saved as."""
    file = io.BytesIO()
    (image if image.mode in _PNG else image.convert("RGB")).save(file, "PNG", compress_level=0)
    return read_photo(file.getvalue())


def image_of(photo: Photo) -> Image.Image:
    """Return a photograph as an image of 8 bits: L, LA, RGB or RGBA."""
    planes = photo.planes
    return Image.fromarray(planes[:, :, 0] if planes.shape[2] == 1 else np.ascontiguousarray(planes))
