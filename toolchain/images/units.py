"""Pictures for networks that take multiples of a unit of pixels: extended, run, and cut to size; and pictures that are
too small for a network.

What is added, at the bottom and at the right, are copies of the last row and column: no more than the unit less one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from toolchain.support.errors import TooSmallError

Picture = TypeVar("Picture", bound=NDArray[Any])


def extended(values: Picture, unit: int, axes: tuple[int, int] = (0, 1)) -> Picture:
    """``values`` with as many copies of the last row and column as make both multiples of ``unit``.

    Args:
        values: of a picture.
        unit: of the network.
        axes: rows and columns.
    """
    missing = [-values.shape[axis] % unit for axis in axes]
    if not any(missing):
        return values
    width = [(0, 0)] * values.ndim
    for axis, count in zip(axes, missing, strict=True):
        width[axis] = (0, count)
    larger: Picture = np.pad(values, width, mode="edge")  # type: ignore[assignment]
    return larger


def in_units(run: Callable[[Picture], Any], unit: int, axes: tuple[int, int] = (0, 1)) -> Callable[[Picture], Any]:
    """``run``, which takes pictures whose sides are multiples of ``unit`` to larger ones, for pictures of any size;
    rows and columns lie along ``axes``.
    """
    if unit == 1:
        return run

    def whole(picture: Picture) -> Any:
        size = tuple(picture.shape[axis] for axis in axes)
        return cropped(run(extended(picture, unit, axes)), size, unit, axes)

    return whole


def check_size(shape: tuple[int, ...], smallest: tuple[int, int], name: str = "") -> None:
    """See that a picture of ``shape`` (height, width, ...), called ``name``, is no smaller than the ``smallest`` that a
    network takes.

    Raises:
        TooSmallError: it is.
    """
    height, width = shape[:2]
    if height < smallest[0] or width < smallest[1]:
        raise TooSmallError(
            f"{name}{': ' * bool(name)}of {width} x {height} pixels nothing is left within this network, which takes "
            f"{smallest[1]} x {smallest[0]} at least",
            hint="use a larger picture",
        )


def cropped(result: NDArray[Any], size: tuple[int, ...], unit: int, axes: tuple[int, int] = (0, 1)) -> Any:
    """Return what belongs to a picture of ``size`` (rows, columns) of a result that was made of it `extended`."""
    places = [slice(None)] * result.ndim
    for axis, side in zip(axes, size, strict=True):
        places[axis] = slice(result.shape[axis] * side // (side + -side % unit))
    return np.ascontiguousarray(result[tuple(places)])
