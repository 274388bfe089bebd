"""The largest and smallest values of a stream whose length is known before: all that a percentile depends on.

Most values are passed over by one comparison each, where a histogram would count them all.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators.base import Estimator
from toolchain.quantize.estimators.histogram import exponent_for


class Largest:
    """The ``number`` largest values of a stream."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.values = np.empty(0, np.float32)
        self._bound = np.float32(-np.inf)  # as many values as are kept are this large
        self._new: list[NDArray[np.float32]] = []
        self._waiting = 0

    def add(self, values: NDArray[np.float32]) -> None:
        """Take in ``values`` (n,), in any order."""
        found = values[values > self._bound]
        if found.size:
            self._new.append(found)
            self._waiting += found.size
            if self._waiting > self.number:
                self._settle()

    def rank(self, number: int) -> float:
        """Return the value that is the ``number``-th from the largest, which is the first."""
        self._settle()
        return float(np.partition(self.values, -number)[-number])

    def _settle(self) -> None:
        values = np.concatenate([self.values, *self._new])
        if values.size > self.number:
            values = np.partition(values, -self.number)[-self.number :]
        if values.size == self.number:
            self._bound = values.min()
        self.values, self._new, self._waiting = values, [], 0


class TailPercentile(Estimator):
    """What ``Percentile`` finds, of at most ``most`` values."""

    name: ClassVar[str] = "percentile"

    def __init__(self, percent: float, most: int) -> None:
        super().__init__()
        self.percent = percent
        number = int(self._spare(most)) + 1
        self._top, self._bottom = Largest(number), Largest(number)

    def __str__(self) -> str:
        """As ``make_estimator`` takes it."""
        return f"{self.name}:{self.percent:g}"

    def _collect(self, values: NDArray[np.float32]) -> None:
        flat = values.ravel()
        self._top.add(flat)
        self._bottom.add(-flat)

    def _range(self) -> tuple[float, float]:
        # The first value that may not be spared, and the edge of the histogram's bin that it lies in.
        number = int(self._spare(self.count)) + 1
        width = np.ldexp(1.0, exponent_for(max(-self.seen_low, self.seen_high)))
        top, bottom = self._top.rank(number), -self._bottom.rank(number)
        high = (np.floor(top / width) + 1) * width if top else 0.0
        low = np.floor(bottom / width) * width if bottom else 0.0
        return max(float(low), self.seen_low), min(float(high), self.seen_high)

    def _spare(self, count: int) -> float:
        return count * (1 - self.percent / 100) / 2
