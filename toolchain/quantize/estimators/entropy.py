"""The range that keeps the distribution of the values: least Kullback-Leibler divergence after quantizing.

After Migacz, "8-bit inference with TensorRT" (GTC 2017), there for symmetric ranges; here both ends are searched, each
in turn. Values beyond the range count where they saturate, at its ends. Exact zeros are exact in every range and are
not counted.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators.base import HistogramEstimator

_FACTORS = np.linspace(1.0, 0.25, 61)
_ROUNDS = 2
_FLOOR = 1e-9  # of a bin that only saturated values fill, in the quantized distribution


class Entropy(HistogramEstimator):
    """Searches 61 shrinkings of each end, twice in turn, for the least divergence."""

    name: ClassVar[str] = "entropy"

    def _range(self) -> tuple[float, float]:
        lowest, highest = min(self.seen_low, 0.0), max(self.seen_high, 0.0)
        filled = self.histogram.counts > 0
        counts, centres = self.histogram.counts[filled].astype(np.float64), self.histogram.centres()[filled]
        low, high = lowest, highest
        if lowest == highest:
            return low, high
        for _ in range(_ROUNDS):
            if highest > 0:
                high = min(highest * _FACTORS, key=lambda end: _divergence(counts, centres, low, end))
            if lowest < 0:
                low = min(lowest * _FACTORS, key=lambda end: _divergence(counts, centres, end, high))
        return float(low), float(high)


def _divergence(counts: NDArray[np.float64], centres: NDArray[np.float64], low: float, high: float) -> float:
    """KL(P || Q) of the filled bins: P with what saturates in its end bins, Q spread evenly over the bins of a code."""
    first, last = int(np.searchsorted(centres, low)), int(np.searchsorted(centres, high, side="right"))
    kept = counts[first:last]
    if not kept.size:
        return np.inf
    codes = np.rint((centres[first:last] - low) * (255 / (high - low))).astype(np.int64)
    together = np.bincount(codes, weights=kept)[codes]
    coarse = together / np.bincount(codes)[codes]
    fine = kept.copy()
    fine[0] += counts[:first].sum()
    fine[-1] += counts[last:].sum()
    fine /= fine.sum()
    coarse = np.maximum(coarse / coarse.sum(), _FLOOR)
    return float(np.sum(fine * np.log(fine / coarse)))
