"""The extremes: nothing that was seen saturates."""

from __future__ import annotations

from typing import ClassVar

from toolchain.quantize.estimators.base import Estimator


class MinMax(Estimator):
    """Smallest and largest value seen."""

    name: ClassVar[str] = "minmax"

    def _range(self) -> tuple[float, float]:
        return self.seen_low, self.seen_high
