"""Estimators shown the tensors of a float network: crop after crop, several tensors at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators import Estimator, make_estimator
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import CalibrationError
from toolchain.support.progress import Tell, untold

if TYPE_CHECKING:
    from toolchain.frontend import SRModel


@dataclass(frozen=True)
class Wanted:
    """What is to be estimated.

    Attributes:
        tensors: whose values are estimated together.
        estimator: its name.
        channels: how many; each has an estimator of its own. 0: one for all.
    """

    tensors: tuple[str, ...]
    estimator: str
    channels: int = 0


def observe(
    sr: SRModel, wanted: Mapping[str, Wanted], crops: Sequence[NDArray[np.uint8]], progress: Tell = untold
) -> dict[str, tuple[Estimator, ...]]:
    """Run ``crops``, u8 (h, w, C), through the float network and show each estimator its tensors' values, crop after
    crop.

    Args:
        sr: the float network.
        wanted: by any name.
        crops: streamed; memory does not grow with their number.
        progress: is told how many are done.

    Returns: estimators by that name: one, or one a channel.

    Raises:
        CalibrationError: the network gives NaN or infinity.
    """
    names = tuple(dict.fromkeys(name for one in wanted.values() for name in one.tensors))
    if not names:
        return {}
    model = FloatModel(sr.model, names)
    sizes = _sizes(model, crops, sr)
    found = {name: _estimators(one, len(crops), sizes) for name, one in wanted.items()}

    def show(values: dict[str, NDArray[np.float32]], name: str) -> None:
        one, estimators = wanted[name], found[name]
        pieces = [values[tensor] for tensor in one.tensors]
        try:
            if not one.channels:
                estimators[0].observe(*pieces)
            for channel in range(one.channels):
                estimators[channel].observe(*(piece[0, channel] for piece in pieces))
        except FloatingPointError:
            for tensor, piece in zip(one.tensors, pieces, strict=True):
                _demand_finite(tensor, piece)
            raise

    feeds = (to_float(crop, sr.value_range) for crop in crops)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for index, values in enumerate(model.stream(feeds)):
            progress("", index / len(crops))
            _demand_finite(model.output, values[model.output])
            for _ in pool.map(partial(show, values), wanted):
                pass
            values.clear()  # before there are those of the next crop
    return found


def _demand_finite(tensor: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise CalibrationError(f"the tensor '{tensor}' is NaN or infinite on a calibration image")


def _estimators(wanted: Wanted, crops: int, sizes: Mapping[str, int]) -> tuple[Estimator, ...]:
    most = crops * sum(sizes[name] for name in wanted.tensors) // max(wanted.channels, 1)
    return tuple(make_estimator(wanted.estimator).of_at_most(most) for _ in range(max(wanted.channels, 1)))


def _sizes(model: FloatModel, crops: Sequence[NDArray[np.uint8]], sr: SRModel) -> dict[str, int]:
    """Return how many values each tensor has at most, on one of the crops."""
    height, width = (max(crop.shape[axis] for crop in crops) for axis in range(2))
    largest = np.zeros((height, width, crops[0].shape[2]), np.uint8)
    return {name: values.size for name, values in model.run_all(to_float(largest, sr.value_range)).items()}
