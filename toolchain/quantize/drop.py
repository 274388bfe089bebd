"""How much PSNR a network loses in integers, on pairs of pictures made of photographs: nobody need label anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.images.bicubic import shrink
from toolchain.images.metrics import luma, shaved
from toolchain.images.scale import cropped
from toolchain.quantize.crops import HeldOut
from toolchain.quantize.floats import FloatModel, to_float, to_pixels
from toolchain.support.parallel import in_order

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

_BEST, _POOREST = (255.0**2 * 10 ** (-psnr / 10) for psnr in (38.0, 30.0))
"""Mean squared errors that the float network is taken to have at the least and at the most. Nearer to the original than
38 dB, which papers reach on Set5 at x2, nobody sees a difference, and decibels of nearly nothing say nothing; farther
than 30 dB, it was not trained on pictures that were shrunk, and its distance is no excuse."""
_LEAST = 16
"""Shortest side of a picture, in pixels, that is worth enlarging."""


@dataclass(frozen=True)
class _Pair:
    """A picture u8 (h, w, C) for the network, and luma as it should come out; None: as the float network gives it."""

    low: NDArray[np.uint8]
    high: NDArray[np.float64] | None


class PsnrDrop:
    """The mean over pictures of the PSNR of luma that is lost against the float network, in dB.

    A photograph is shrunk by the network's scale, enlarged again by both networks, and compared with itself, as papers
    measure them. Where nothing can be shrunk, or the scale is 1, the float network's picture stands for the original.
    """

    def __init__(self, sr: SRModel, held_out: Sequence[HeldOut]) -> None:
        """Run the float network on pictures made of crops that chose nothing."""
        self._range, self._shave = sr.value_range, math.ceil(sr.scale)
        self._pairs = [_pair(crop.pixels, sr.scale) for crop in held_out]
        exact = self._outputs(sr.model)
        self._wanted = [
            plane if pair.high is None else pair.high for pair, plane in zip(self._pairs, exact, strict=True)
        ]
        self._exact, self._errors = exact, self._distances(exact, self._wanted)
        self._own = np.clip(self._errors, _BEST, _POOREST)

    def __call__(self, network: onnx.ModelProto) -> float:
        """Return the drop of a network with the float network's ends, whose Q and DQ nodes round in float32."""
        more = self._distances(self._outputs(network), self._wanted) - self._errors
        return self._mean(np.maximum(more, (1e-3 - 1) * self._own))

    def expected(self, network: onnx.ModelProto) -> float:
        """Return the drop if what a network does otherwise than the float one had nothing to do with what that one does
        wrong: without the luck that decides in small drops which of two networks loses less.
        """
        return self._mean(self._distances(self._outputs(network), self._exact))

    def _mean(self, more: NDArray[np.float64]) -> float:
        """Return the drop of mean squared errors that are larger by ``more``."""
        return float(np.mean(10 * np.log10((self._own + more) / self._own)))

    def _distances(
        self, planes: Sequence[NDArray[np.float64]], others: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        found = zip(planes, others, strict=True)
        return np.array([np.mean((shaved(one, self._shave) - shaved(other, self._shave)) ** 2) for one, other in found])

    def _outputs(self, network: onnx.ModelProto) -> list[NDArray[np.float64]]:
        """Luma of the pictures, which are rounded to 8 bits whatever the network computes in."""
        model = FloatModel(network)

        def plane(pair: _Pair) -> NDArray[np.float64]:
            values = model.run(to_float(pair.low, self._range)).astype(np.float64)
            return luma(to_pixels(values, self._range))

        return list(in_order(plane, self._pairs))


def _pair(pixels: NDArray[np.uint8], scale: int | Fraction) -> _Pair:
    height, width = (cropped(side, scale) for side in pixels.shape[:2])
    if scale == 1 or min(height, width) < _LEAST * scale:
        return _Pair(pixels, None)
    high = pixels[:height, :width]
    return _Pair(shrink(high, scale), luma(high))
