"""Picture quality: PSNR and SSIM, as super-resolution papers compute them. All work in float64 on u8 pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.support.serialization import Count, Finite

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]

_SIGMA, _WINDOW = 1.5, 11


@dataclass(frozen=True)
class Loss:
    """How near the pictures of a network in integers are to the float network's: no labels, no original pictures.

    Attributes:
        psnr: over all crops together, in dB, for a peak of 255.
        worst: of the worst crop.
        crops: how many were compared; none of them chose anything in the quantization.
        photograph: the name of the one that the worst crop is from.
        drop: PSNR that is lost of pictures that were made smaller and are enlarged again, in dB; None where it is not
            known.
    """

    psnr: Finite
    worst: Finite
    crops: Count
    photograph: str
    drop: Finite | None = None

    def __str__(self) -> str:
        """For people."""
        return (
            f"INT8 against float: {self.psnr:.1f} dB over {self.crops} crop{'s' if self.crops > 1 else ''}, "
            f"worst {self.worst:.1f} dB (crop of {self.photograph})"
        )


def decibels(error: float) -> float:
    """Return the PSNR in dB that a mean squared error in grey levels is; a finite one even of an error too small to
    matter.
    """
    return 10 * math.log10(255.0**2 / max(error, 1e-9))


def shaved(pixels: npt.NDArray[Any], border: int) -> npt.NDArray[Any]:
    """Without ``border`` pixels at each edge; pictures too small for it stay as they are."""
    height, width = pixels.shape[:2]
    if border <= 0 or min(height, width) <= 2 * border:
        return pixels
    return pixels[border : height - border, border : width - border]


def luma(pixels: Pixels) -> Plane:
    """Y of BT.601 in 16..235, not rounded, as MATLAB's ``rgb2ycbcr`` defines it: (h, w, 3) u8 to (h, w) float64.

    A grey picture (h, w, 1) counts as R = G = B.
    """
    weights = np.array([65.481, 128.553, 24.966]) / 255.0
    if pixels.shape[2] == 1:
        weights = weights.sum(keepdims=True)
    return 16.0 + pixels.astype(np.float64) @ weights


def psnr(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 255; infinite for equal pictures.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(first, second)
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def ssim(first: Plane, second: Plane) -> float:
    """Return mean structural similarity of two planes (h, w) with values in 0..255.

    Gaussian window of 11 x 11 and sigma 1.5, K1 = 0.01, K2 = 0.03, population variances, windows wholly inside the
    picture (Wang, Bovik, Sheikh, Simoncelli 2004). A picture smaller than the window gives NaN.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(first, second)
    if min(first.shape) < _WINDOW:
        return math.nan
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean1, mean2 = _blur(first), _blur(second)
    variance1 = _blur(first * first) - mean1 * mean1
    variance2 = _blur(second * second) - mean2 * mean2
    covariance = _blur(first * second) - mean1 * mean2
    top = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    bottom = (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    return float(np.mean(top / bottom))


def _blur(plane: Plane) -> Plane:
    taps = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    rows = plane.shape[0] - _WINDOW + 1
    columns = plane.shape[1] - _WINDOW + 1
    down: Plane = np.sum([tap * plane[i : i + rows] for i, tap in enumerate(taps)], axis=0)
    across: Plane = np.sum([tap * down[:, i : i + columns] for i, tap in enumerate(taps)], axis=0)
    return across


def _same_shape(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"cannot compare pictures of shapes {first.shape} and {second.shape}")
