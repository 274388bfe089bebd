"""A histogram of a stream of values, in memory that does not grow with it.

The bins have a power of two as width and an edge at zero, and neighbours are merged when a larger value arrives, so
what it holds depends on the values only, not on how they were cut into pictures or in which order these came.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HALF = 4096
"""Bins on each side of zero: at least 8 per quantization step of a range that spans one side, 16 of one on both."""

_NARROWEST, _LEAST = -100, 2.0**-80  # smaller values than the latter share the innermost bins


def exponent_for(largest: float) -> int:
    """Return the exponent of the bins' width for values of this magnitude at most."""
    return int(np.frexp(max(largest, _LEAST))[1]) - HALF.bit_length() + 1


class Histogram:
    """Counts of non-zero values in ``2 * HALF`` bins around zero, and of exact zeros apart."""

    def __init__(self) -> None:
        self.counts = np.zeros(2 * HALF, np.int64)
        self.exponent = _NARROWEST  # bins are 2**exponent wide
        self.zeros = 0

    @property
    def width(self) -> float:
        """The width of a bin."""
        return float(np.ldexp(1.0, self.exponent))

    def centres(self) -> NDArray[np.float64]:
        """Return the middle of each bin."""
        middles: NDArray[np.float64] = (np.arange(2 * HALF, dtype=np.float64) - HALF + 0.5) * self.width
        return middles

    def add(self, values: NDArray[np.float32]) -> None:
        """Count ``values`` of any shape."""
        flat = values.ravel()
        zeros = int(np.count_nonzero(flat == 0))
        self.zeros += zeros
        if zeros == flat.size:
            return
        self._widen(exponent_for(max(-float(flat.min()), float(flat.max()))))
        # A power of two makes no rounding error in float32, unless it makes a number too small.
        kind = np.float32 if self.exponent <= 0 else np.float64
        places = np.multiply(flat, kind(2.0**-self.exponent), dtype=kind)
        np.floor(places, out=places)
        places += HALF
        counts = np.bincount(places.astype(np.intp), minlength=2 * HALF)
        counts[HALF] -= zeros
        self.counts += counts

    def _widen(self, exponent: int) -> None:
        if not self.counts.any():
            self.exponent = max(self.exponent, exponent)
        while self.exponent < exponent:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[:] = 0
            self.counts[HALF // 2 : HALF + HALF // 2] = merged
            self.exponent += 1
