"""Range estimators by name. Each sees a tensor's values picture by picture and then names the range to quantize."""

from __future__ import annotations

import importlib
from types import GenericAlias

from toolchain.quantize.estimators.base import Estimator, Range
from toolchain.support.errors import CalibrationError

NAMES = (
    "minmax",
    "mse",
    "percentile",
    "entropy",
    "average",
)
"""Names of files here, each with one estimator of that name."""


def find_estimator(name: str) -> type[Estimator]:
    """Return the estimator in the file ``name`` of this package.

    Raises:
        ValueError: it holds none of that name.
    """
    module = importlib.import_module(f"{__name__}.{name}")
    # Python 3.10 takes an alias such as tuple[float, float] for a type.
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and not isinstance(kind, GenericAlias)]
    own = [kind for kind in kinds if issubclass(kind, Estimator) and kind.__module__ == module.__name__]
    found = next((kind for kind in own if kind.name == name), None)
    if found is None:
        raise ValueError(f"{module.__name__} has no estimator '{name}'")
    return found


ESTIMATORS: dict[str, type[Estimator]] = {name: find_estimator(name) for name in NAMES}


def make_estimator(name: str) -> Estimator:
    """Return a fresh estimator, from ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        CalibrationError: the name is not one of ``ESTIMATORS``, or the argument is not one that it takes.
    """
    kind, _, argument = name.partition(":")
    if kind not in ESTIMATORS:
        raise CalibrationError(
            f"there is no range estimator '{kind}'", hint=f"choose one of {', '.join(sorted(ESTIMATORS))}"
        )
    return ESTIMATORS[kind].make(argument)


__all__ = ["ESTIMATORS", "NAMES", "Estimator", "Range", "find_estimator", "make_estimator"]
