"""Range estimators by name. Each sees a tensor's values piece by piece and then names the range to quantize."""

from __future__ import annotations

from toolchain.errors import CalibrationError
from toolchain.quantize.estimators.base import Estimator, Range
from toolchain.quantize.estimators.minmax import MinMax
from toolchain.quantize.estimators.mse import MeanSquaredError

ESTIMATORS: dict[str, type[Estimator]] = {kind.name: kind for kind in (MinMax, MeanSquaredError)}


def make_estimator(name: str) -> Estimator:
    """A fresh estimator; CalibrationError where ``name`` is not one of ``ESTIMATORS``."""
    if name not in ESTIMATORS:
        raise CalibrationError(
            f"there is no range estimator '{name}'", hint=f"choose one of {', '.join(sorted(ESTIMATORS))}"
        )
    return ESTIMATORS[name]()


__all__ = ["ESTIMATORS", "Estimator", "Range", "make_estimator"]
