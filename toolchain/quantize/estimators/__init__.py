"""Range estimators by name. Each sees a tensor's values picture by picture and then names the range to quantize."""

from __future__ import annotations

from toolchain.quantize.estimators.average import MovingAverage
from toolchain.quantize.estimators.base import Estimator, Range
from toolchain.quantize.estimators.entropy import Entropy
from toolchain.quantize.estimators.minmax import MinMax
from toolchain.quantize.estimators.mse import MeanSquaredError
from toolchain.quantize.estimators.percentile import Percentile
from toolchain.support.errors import CalibrationError

ESTIMATORS: dict[str, type[Estimator]] = {
    kind.name: kind for kind in (MinMax, MeanSquaredError, Percentile, Entropy, MovingAverage)
}


def make_estimator(name: str) -> Estimator:
    """A fresh estimator, from ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        CalibrationError: the name is not one of ``ESTIMATORS``, or the argument is not one that it takes.
    """
    kind, _, argument = name.partition(":")
    if kind not in ESTIMATORS:
        raise CalibrationError(
            f"there is no range estimator '{kind}'", hint=f"choose one of {', '.join(sorted(ESTIMATORS))}"
        )
    return ESTIMATORS[kind].make(argument)


__all__ = ["ESTIMATORS", "Estimator", "Range", "make_estimator"]
