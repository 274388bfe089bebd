"""MATLAB's ``imresize`` with its default, antialiased bicubic kernel: what the tables of papers are made with."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from toolchain.images.scale import enlarged, shrunk

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]

_WIDTH = 4.0
"""Of the cubic kernel, in pixels."""


def shrink(pixels: Pixels, scale: int | Fraction) -> Pixels:
    """Shrink u8 (h, w, C) to u8 (h // scale, w // scale, C); the kernel is as many times wider."""
    return _resized(pixels, shrunk(pixels.shape[0], scale), shrunk(pixels.shape[1], scale), 1 / float(scale))


def enlarge(pixels: Pixels, scale: int | Fraction) -> Pixels:
    """Enlarge u8 (h, w, C) to u8 (h*scale, w*scale, C)."""
    return _resized(pixels, enlarged(pixels.shape[0], scale), enlarged(pixels.shape[1], scale), float(scale))


def _resized(pixels: Pixels, height: int, width: int, scale: float) -> Pixels:
    rows, columns = _weights(pixels.shape[0], height, scale), _weights(pixels.shape[1], width, scale)
    planes = rows @ pixels.astype(np.float64).transpose(2, 0, 1) @ columns.T
    # In double precision throughout, and rounded once, halves upwards, as MATLAB rounds what it writes.
    return np.ascontiguousarray(np.clip(np.floor(planes + 0.5), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _weights(size: int, result: int, scale: float) -> Plane:
    """Return the share (result, size) that each pixel of a row or column has in each of the result."""
    stretch = min(scale, 1.0)
    width = _WIDTH / stretch
    middle = (np.arange(result) + 0.5) / scale - 0.5
    places = np.floor(middle - width / 2).astype(np.int64)[:, None] + np.arange(int(np.ceil(width)) + 2)
    shares = _cubic((middle[:, None] - places) * stretch)
    shares /= shares.sum(axis=1, keepdims=True)
    # Beyond the border the picture is mirrored, its outermost pixels included.
    mirrored = places % (2 * size)
    mirrored = np.where(mirrored < size, mirrored, 2 * size - 1 - mirrored)
    weights: Plane = np.zeros((result, size))
    np.add.at(weights, (np.arange(result)[:, None], mirrored), shares)
    return weights


def _cubic(distance: Plane) -> Plane:
    """Keys' cubic convolution kernel with a = -0.5 (IEEE Transactions on Acoustics, 1981)."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    found: Plane = np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))
    return found
