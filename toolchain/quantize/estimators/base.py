"""What an estimator is: a stream of values in, one frozen range out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators.histogram import Histogram
from toolchain.support.errors import CalibrationError


@dataclass(frozen=True)
class Range:
    """The range to quantize, in the tensor's own units, and what was seen of it.

    ``low`` and ``high`` hold 0. ``seen_low`` and ``seen_high`` are the extremes of the ``count`` values observed.
    """

    low: float
    high: float
    seen_low: float
    seen_high: float
    count: int
    estimator: str


class Estimator(ABC):
    """Collects values in memory that does not grow with their number."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.seen_low, self.seen_high, self.count = np.inf, -np.inf, 0

    @classmethod
    def make(cls, argument: str) -> Estimator:
        """Return a fresh estimator for what stands behind the colon of ``NAME:ARGUMENT``; empty where there is none.

        Raises:
            CalibrationError: this estimator takes no such argument.
        """
        if argument:
            raise CalibrationError(f"the range estimator '{cls.name}' takes no '{argument}'", hint=f"say {cls.name}")
        return cls()

    def of_at_most(self, count: int) -> Estimator:
        """Return what finds the same of at most ``count`` values, and may do so in less time."""
        return self

    def observe(self, *pieces: NDArray[np.float32]) -> None:
        """Take in the values of one picture: arrays of any shapes, the empty one included.

        Raises:
            FloatingPointError: there is NaN or infinity among them.
        """
        filled = [piece for piece in pieces if piece.size]
        if filled:
            ends = np.array([(piece.min(), piece.max()) for piece in filled], np.float64)
            if not np.isfinite(ends).all():
                raise FloatingPointError("values are NaN or infinite")
            low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
            self.seen_low, self.seen_high = min(self.seen_low, low), max(self.seen_high, high)
            self.count += sum(piece.size for piece in filled)
            self._picture(low, high)
            for piece in filled:
                self._collect(piece)

    def result(self) -> Range:
        """Return the range of everything observed; (0, 0) where nothing was."""
        if not self.count:
            return Range(0.0, 0.0, 0.0, 0.0, 0, str(self))
        low, high = self._range()
        return Range(min(low, 0.0), max(high, 0.0), self.seen_low, self.seen_high, self.count, str(self))

    def __str__(self) -> str:
        """As ``make_estimator`` takes it."""
        return self.name

    def _picture(self, low: float, high: float) -> None:  # noqa: B027 - most do not care
        """Remember the extremes of one picture."""

    def _collect(self, values: NDArray[np.float32]) -> None:  # noqa: B027 - extremes are enough for some
        """Remember what the range needs, beyond the extremes."""

    @abstractmethod
    def _range(self) -> tuple[float, float]:
        """Return the range, from what was collected; at least one value was."""


class HistogramEstimator(Estimator):
    """One that decides by a histogram of the values."""

    def __init__(self) -> None:
        super().__init__()
        self.histogram = Histogram()

    def _collect(self, values: NDArray[np.float32]) -> None:
        self.histogram.add(values)
