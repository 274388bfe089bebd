"""The range with the least expected squared quantization error: a finer step bought with rare saturation.

Values go into a histogram of fixed size. Its bins have a power of two as width and an edge at zero, and neighbours are
merged when a larger value arrives, so the result depends on the values only, not on how they were cut into images or in
which order these came.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators.base import Estimator

_HALF = 4096  # bins on each side of zero: at least 16 per quantization step
_FACTORS = np.linspace(1.0, 0.25, 151)


class MeanSquaredError(Estimator):
    """Searches both ends of the range over 151 shrinkings each for the least squared error.

    Values inside cost step**2 / 12 each (rounding), exact zeros nothing, values outside their squared distance to the
    range.
    """

    name: ClassVar[str] = "mse"

    def __init__(self) -> None:
        super().__init__()
        self.counts = np.zeros(2 * _HALF, np.int64)
        self.exponent = -100  # bins are 2**exponent wide
        self.zeros = 0

    def _collect(self, values: NDArray[np.float32]) -> None:
        flat = values[values != 0].astype(np.float64)
        self.zeros += values.size - flat.size
        if not flat.size:
            return
        largest = max(float(np.abs(flat).max()), 2.0**-80)
        self._widen(int(np.frexp(largest)[1]) - _HALF.bit_length() + 1)
        bins = np.floor(flat * 2.0**-self.exponent).astype(np.int64) + _HALF
        self.counts += np.bincount(bins, minlength=2 * _HALF)

    def _widen(self, exponent: int) -> None:
        if not self.counts.any():
            self.exponent = max(self.exponent, exponent)
        while self.exponent < exponent:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[:] = 0
            self.counts[_HALF // 2 : _HALF + _HALF // 2] = merged
            self.exponent += 1

    def _range(self) -> tuple[float, float]:
        lowest, highest = min(self.seen_low, 0.0), max(self.seen_high, 0.0)
        if lowest == highest:
            return lowest, highest
        lows = lowest * _FACTORS if lowest < 0 else np.zeros(1)
        highs = highest * _FACTORS if highest > 0 else np.zeros(1)
        width = float(np.ldexp(1.0, self.exponent))
        centres: NDArray[np.float64] = (np.arange(2 * _HALF, dtype=np.float64) - _HALF + 0.5) * width
        below = _saturation(self.counts, centres, -lows, sign=-1)
        above = _saturation(self.counts, centres, highs, sign=1)
        step = (highs[None, :] - lows[:, None]) / 255
        inside = int(self.counts.sum()) - below[1][:, None] - above[1][None, :]
        loss = below[0][:, None] + above[0][None, :] + inside * step**2 / 12
        row, column = np.unravel_index(int(np.argmin(loss)), loss.shape)
        return float(lows[row]), float(highs[column])


def _saturation(
    counts: NDArray[np.int64], centres: NDArray[np.float64], limits: NDArray[np.float64], *, sign: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per limit, the squared error of the values beyond it and their number; ``sign`` -1 looks below ``-limit``."""
    distance = centres * sign
    order = np.argsort(distance)
    weight, place = counts[order].astype(np.float64), distance[order]
    first = np.searchsorted(place, limits, side="right")
    tails = [np.concatenate([np.cumsum((weight * place**power)[::-1])[::-1], [0.0]]) for power in (0, 1, 2)]
    number, linear, square = (tail[first] for tail in tails)
    return np.maximum(square - 2 * limits * linear + limits**2 * number, 0.0), number
