"""The range with the least expected squared quantization error: a finer step bought with rare saturation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators.base import HistogramEstimator

_FACTORS = np.linspace(1.0, 0.25, 151)


class MeanSquaredError(HistogramEstimator):
    """Searches both ends of the range over 151 shrinkings each for the least squared error.

    Values inside cost step**2 / 12 each (rounding), exact zeros nothing, values outside their squared distance to the
    range.
    """

    name: ClassVar[str] = "mse"

    def _range(self) -> tuple[float, float]:
        lowest, highest = min(self.seen_low, 0.0), max(self.seen_high, 0.0)
        if lowest == highest:
            return lowest, highest
        lows = lowest * _FACTORS if lowest < 0 else np.zeros(1)
        highs = highest * _FACTORS if highest > 0 else np.zeros(1)
        counts, centres = self.histogram.counts, self.histogram.centres()
        below = _saturation(counts, centres, -lows, sign=-1)
        above = _saturation(counts, centres, highs, sign=1)
        step = (highs[None, :] - lows[:, None]) / 255
        inside = int(counts.sum()) - below[1][:, None] - above[1][None, :]
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
