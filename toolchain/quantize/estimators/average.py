"""The moving average of each picture's extremes: one picture with an outlier does not decide the range."""

from __future__ import annotations

from typing import ClassVar

from toolchain.quantize.estimators.base import Estimator

_MEMORY = 32


class MovingAverage(Estimator):
    """The plain mean of the extremes of the first 32 pictures; later ones count 1/32 each, earlier ones fade.

    The only estimator that depends on which values come together in one picture; on the order of pictures, only beyond
    32 of them.
    """

    name: ClassVar[str] = "average"

    def __init__(self) -> None:
        super().__init__()
        self.pictures, self.low, self.high = 0, 0.0, 0.0

    def _picture(self, low: float, high: float) -> None:
        self.pictures += 1
        weight = 1 / min(self.pictures, _MEMORY)
        self.low += weight * (low - self.low)
        self.high += weight * (high - self.high)

    def _range(self) -> tuple[float, float]:
        return self.low, self.high
