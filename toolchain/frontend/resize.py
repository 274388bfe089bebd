"""Interpolation as ONNX defines Resize: along each axis, every output is a weighted sum of a few inputs.

The formulas stand here once, for NumPy; `toolchain.kernels.resize` writes the same for sizes that are not known yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.graph import Array

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
TAPS = {"nearest": 1, "linear": 2, "cubic": 4}
"""Inputs that an output is made of, by mode."""

_SIMPLE = 4096
"""Factors are taken for fractions with no larger denominator."""


@dataclass(frozen=True)
class Sampling:
    """How a Resize samples.

    Attributes:
        mode: "nearest", "linear" or "cubic".
        coordinates: where the outputs lie among the inputs, one of `COORDINATES`.
        nearest: which input is the nearest, one of `NEAREST`.
        alpha: of the cubic kernel.
        exclude_outside: inputs beyond the border have no weight; else the pixel at the border stands for them.
    """

    mode: str
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    alpha: float = -0.75
    exclude_outside: bool = False


def read_sampling(attributes: Mapping[str, Any]) -> Sampling | None:
    """Return the sampling that a Resize's attributes (strings decoded) ask for; None if it is not of these kinds."""
    found = Sampling(
        attributes.get("mode", "nearest"),
        attributes.get("coordinate_transformation_mode", "half_pixel"),
        attributes.get("nearest_mode", "round_prefer_floor"),
        float(attributes.get("cubic_coeff_a", -0.75)),
        bool(attributes.get("exclude_outside", 0)),
    )
    known = found.mode in TAPS and found.coordinates in COORDINATES and found.nearest in NEAREST
    plain = not attributes.get("antialias") and not attributes.get("axes")
    return found if known and plain else None


def fraction(factor: float) -> Fraction:
    """Return the simple fraction that a float32 factor stands for."""
    return Fraction(float(factor)).limit_denominator(_SIMPLE)


def resize(values: Array, sampling: Sampling, factors: Sequence[Fraction]) -> NDArray[np.float32]:
    """(1, C, h, w) resized by a factor for each of both directions; rows and columns are rounded down.

    Columns come first, in float64, and what they give is float32: exactly so does the kernel.
    """
    matrices = [
        axis_matrix(sampling, size, int(size * factor), factor)
        for size, factor in zip(values.shape[2:], factors, strict=True)
    ]
    wide = (values.astype(np.float64) @ matrices[1].T).astype(np.float32)
    made: NDArray[np.float32] = (matrices[0] @ wide.astype(np.float64)).astype(np.float32)
    return made


def axis_matrix(sampling: Sampling, size: int, out: int, factor: Fraction) -> NDArray[np.float64]:
    """Return the weights (out, size) of an axis of ``size`` that becomes ``out``, ``factor`` times as long or a bit
    less.
    """
    matrix = np.zeros((out, size))
    place = _PLACES[sampling.coordinates]
    for row in range(out):
        if factor == 1:
            matrix[row, row] = 1.0
            continue
        for index, weight in _taps(sampling, place(row, size, out, float(factor))):
            if sampling.exclude_outside and sampling.mode == "cubic" and not 0 <= index < size:
                continue
            matrix[row, min(max(index, 0), size - 1)] += weight
        matrix[row] /= matrix[row].sum()
    return matrix


def _taps(sampling: Sampling, place: float) -> list[tuple[int, float]]:
    """Return inputs around ``place`` and their weights."""
    if sampling.mode == "nearest":
        rounding: dict[str, Callable[[float], int]] = {
            "floor": floor,
            "ceil": ceil,
            "round_prefer_floor": lambda p: ceil(p - 0.5),
            "round_prefer_ceil": lambda p: floor(p + 0.5),
        }
        return [(rounding[sampling.nearest](place), 1.0)]
    first = floor(place)
    s = place - first
    if sampling.mode == "linear":
        return [(first, 1 - s), (first + 1, s)]
    a = sampling.alpha
    near = [(a + 2) * t**3 - (a + 3) * t**2 + 1 for t in (s, 1 - s)]
    far = [a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a for t in (1 + s, 2 - s)]
    return [(first - 1, far[0]), (first, near[0]), (first + 1, near[1]), (first + 2, far[1])]


def _half_pixel(x: int, size: int, out: int, factor: float) -> float:
    return (x + 0.5) / factor - 0.5


def _symmetric(x: int, size: int, out: int, factor: float) -> float:
    return size / 2 * (1 - out / (factor * size)) + (x + 0.5) / factor - 0.5


_PLACES: dict[str, Callable[[int, int, int, float], float]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda x, size, out, factor: _half_pixel(x, size, out, factor) if out > 1 else 0.0,
    "align_corners": lambda x, size, out, factor: x * (size - 1) / (out - 1) if out > 1 else 0.0,
    "asymmetric": lambda x, size, out, factor: x / factor,
    "tf_half_pixel_for_nn": lambda x, size, out, factor: (x + 0.5) / factor,
}
