"""From a photograph to a larger one: grey, RGB, transparency, 16 bits, and networks that only know luma."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolchain.images import Photo, to_channels
from toolchain.images.scale import enlarged
from toolchain.images.units import extended

Pixels = npt.NDArray[np.uint8]

MARGIN = 3
"""Rows around a band of a picture that enlarging it bicubically looks at."""

_ONE = 1 << 10  # of the fixed-point weights


def upscale_photo(photo: Photo, upscale: Callable[[Pixels], Pixels], *, channels: int, scale: int | Fraction) -> Photo:
    """Upscale a photograph with a network of ``channels`` 1 (luma) or 3 (RGB); grey stays grey.

    A luma network gets Y of YCbCr (JPEG's, full range), chroma is enlarged bicubically. Alpha is enlarged bicubically.
    Of 16 bits the network gets the upper 8, rounded; what that leaves over is enlarged bicubically and added.

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
    remainder = None if photo.remainder is None else bicubic_remainder(photo.remainder, scale)
    return Photo(pixels, alpha, remainder, photo.metadata)


def bicubic(plane: Pixels, scale: int | Fraction) -> Pixels:
    """Enlarge u8 (h, w) or (h, w, 3) by ``scale`` with Pillow's bicubic filter."""
    whole = extended(plane, scale.denominator)  # Pillow rounds otherwise where it begins or ends within a pixel
    height, width = (enlarged(side, scale) for side in whole.shape[:2])
    large = np.asarray(Image.fromarray(whole).resize((width, height), Image.Resampling.BICUBIC))
    return large[: enlarged(plane.shape[0], scale), : enlarged(plane.shape[1], scale)]


def bicubic_remainder(values: npt.NDArray[np.int16], scale: int | Fraction) -> npt.NDArray[np.int16]:
    """Enlarge i16 (h, w, C) of -128..128 by ``scale``, bicubically (a = -0.5), in integers: bands equal the whole."""
    return bicubic_integers(values.astype(np.int32), scale).astype(np.int16)


def bicubic_integers(
    values: npt.NDArray[np.int32], scale: int | Fraction, shift: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[np.int32]:
    """Enlarge (h, w, ...) of at most 10 bits by ``scale``, bicubically (a = -0.5), each sum rounded once.

    Args:
        values: of a picture, or of rows of one.
        scale: how many times.
        shift: how far down and to the right of its usual place each sample is taken, in samples.
    """
    wide = _enlarged(_enlarged(values, scale, axis=0, shift=shift[0]), scale, axis=1, shift=shift[1])
    return (wide + _ONE * _ONE // 2) // (_ONE * _ONE)


def _enlarged(
    values: npt.NDArray[np.int32], scale: int | Fraction, *, axis: int, shift: float
) -> npt.NDArray[np.int32]:
    """Along one axis, times ``_ONE``; beyond the edges the outermost values go on."""
    size, step = values.shape[axis], scale.denominator
    most = 3 + math.ceil(abs(shift)) + step
    beyond = [(0, 0)] * values.ndim
    beyond[axis] = (most, most)
    padded = np.pad(values, beyond, mode="edge")
    made = enlarged(size, scale)
    result = np.empty((*values.shape[:axis], made, *values.shape[axis + 1 :]), np.int32)
    ahead = (slice(None),) * axis
    for phase in range(min(scale.numerator, made)):
        count = len(range(phase, made, scale.numerator))
        place = (phase + 0.5) / float(scale) - 0.5 + shift
        first = math.floor(place) - 1
        weights = [round(_cubic(first + tap - place) * _ONE) for tap in range(4)]
        weights[int(np.argmax(weights))] += _ONE - sum(weights)
        begin, reach = most + first, (count - 1) * step + 1
        total = weights[0] * padded[(*ahead, slice(begin, begin + reach, step))]
        for tap in range(1, 4):
            total += weights[tap] * padded[(*ahead, slice(begin + tap, begin + tap + reach, step))]
        result[(*ahead, slice(phase, None, scale.numerator))] = total
    return result


def _cubic(distance: float) -> float:
    x = abs(distance)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 if x < 2.0 else 0.0


def _luma_only(pixels: Pixels, upscale: Callable[[Pixels], Pixels], scale: int | Fraction) -> Pixels:
    colours = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
    luma = upscale(np.ascontiguousarray(colours[:, :, :1]))
    chroma = [bicubic(np.ascontiguousarray(colours[:, :, index]), scale) for index in (1, 2)]
    joined = Image.merge("YCbCr", [Image.fromarray(plane) for plane in (luma[:, :, 0], *chroma)])
    return np.asarray(joined.convert("RGB"))
