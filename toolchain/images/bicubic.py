"""Pillow's bicubic filter, which is antialiased, as MATLAB's ``imresize``: how pictures are made smaller and larger."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolchain.images.scale import enlarged, shrunk

Pixels = npt.NDArray[np.uint8]


def shrink(pixels: Pixels, scale: int | Fraction) -> Pixels:
    """Shrink u8 (h, w, C) to u8 (h // scale, w // scale, C)."""
    return _resized(pixels, shrunk(pixels.shape[0], scale), shrunk(pixels.shape[1], scale))


def enlarge(pixels: Pixels, scale: int | Fraction) -> Pixels:
    """Enlarge u8 (h, w, C) to u8 (h*scale, w*scale, C)."""
    return _resized(pixels, enlarged(pixels.shape[0], scale), enlarged(pixels.shape[1], scale))


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).reshape(height, width, pixels.shape[2])
