"""The range that holds a given share of the values: the same number of them may saturate at each end."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from toolchain.quantize.estimators.base import Estimator, HistogramEstimator
from toolchain.quantize.estimators.histogram import HALF
from toolchain.quantize.estimators.tails import TailPercentile
from toolchain.support.errors import CalibrationError

_PERCENT = 99.99
_TAILS = 99.9  # percentiles from here on need so few values that these are kept


class Percentile(HistogramEstimator):
    """At least ``percent`` of all values, exact zeros counted, lie inside; half of the others below, half above.

    The ends are edges of the histogram's bins, or the extremes where these are nearer.
    """

    name: ClassVar[str] = "percentile"

    def __init__(self, percent: float = _PERCENT) -> None:
        super().__init__()
        self.percent = percent

    @classmethod
    def make(cls, argument: str) -> Estimator:
        """``percentile`` or ``percentile:99.9``; CalibrationError as ``parse``."""
        return cls(cls.parse(argument))

    @staticmethod
    def parse(argument: str) -> float:
        """Return the number of a percentile, 99.99 where none is given.

        Raises:
            CalibrationError: not a number from 50 to 100.
        """
        try:
            percent = float(argument) if argument else _PERCENT
        except ValueError:
            percent = -1.0
        if not 50 <= percent <= 100:
            raise CalibrationError(f"'{argument}' is no percentile", hint="say percentile:P with P from 50 to 100")
        return percent

    def of_at_most(self, count: int) -> Estimator:
        """Return what needs only the ends of so many values, unless those are much of them."""
        return TailPercentile(self.percent, count) if self.percent >= _TAILS else self

    def __str__(self) -> str:
        """As ``make_estimator`` takes it."""
        return f"{self.name}:{self.percent:g}"

    def _range(self) -> tuple[float, float]:
        histogram = self.histogram
        # Exact zeros stand in the middle, between the bins on both sides of them.
        numbers = np.insert(histogram.counts, HALF, histogram.zeros)
        edges = np.insert((np.arange(2 * HALF + 1) - HALF) * histogram.width, HALF, 0.0)
        spare = self.count * (1 - self.percent / 100) / 2
        first = int(np.argmax(np.cumsum(numbers) > spare))
        last = len(numbers) - 1 - int(np.argmax(np.cumsum(numbers[::-1]) > spare))
        return max(float(edges[first]), self.seen_low), min(float(edges[last + 1]), self.seen_high)
