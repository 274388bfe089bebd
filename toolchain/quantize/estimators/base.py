"""What an estimator is: a stream of values in, one frozen range out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


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

    def observe(self, values: NDArray[np.float32]) -> None:
        """Take in an array of any shape, the empty one included. The order of calls does not change the result."""
        if values.size:
            self.seen_low = min(self.seen_low, float(values.min()))
            self.seen_high = max(self.seen_high, float(values.max()))
            self.count += values.size
            self._collect(values)

    def result(self) -> Range:
        """The range of everything observed; (0, 0) where nothing was."""
        if not self.count:
            return Range(0.0, 0.0, 0.0, 0.0, 0, self.name)
        low, high = self._range()
        return Range(min(low, 0.0), max(high, 0.0), self.seen_low, self.seen_high, self.count, self.name)

    def _collect(self, values: NDArray[np.float32]) -> None:  # noqa: B027 - extremes are enough for some
        """Remember what the range needs, beyond the extremes."""

    @abstractmethod
    def _range(self) -> tuple[float, float]:
        """The range, from what was collected; at least one value was."""
