"""Which pictures a network takes, and how large the ones are that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from toolchain.images.scale import enlarged
from toolchain.images.units import check_size, extended, in_units
from toolchain.support.errors import InputError

Pixels = NDArray[np.uint8]

UNBOUNDED_HALO = 1 << 20
"""Halo of a network in which one pixel can depend on all others (global pooling, strides): it cannot be tiled."""

LARGEST = 0xFFFFFF
"""Pixels of a side at most, in `clipfree.h`."""


@dataclass(frozen=True)
class Geometry:
    """What a network takes and makes.

    Attributes:
        channels: of the pixels.
        scale: output pixels per input pixel and direction; the result's sides are rounded down.
        unit: of how many pixels the sides of the network's pictures are multiples: others are extended by copies of
            their last row and column, and the result is cut to size.
        smallest: height and width of the smallest picture that it takes.
        halo: receptive-field radius in input pixels.
    """

    channels: int
    scale: int | Fraction
    unit: int = 1
    smallest: tuple[int, int] = (1, 1)
    halo: int = UNBOUNDED_HALO

    @property
    def reach(self) -> int:
        """The halo as `clipfree.h` has it, where an unbounded one is as large as the largest picture."""
        return self.halo if self.halo < UNBOUNDED_HALO else LARGEST

    def check(self, pixels: Pixels) -> None:
        """See that ``pixels`` are a picture that the network takes: u8 (h, w, channels).

        Raises:
            InputError: their shape or type does not fit.
            TooSmallError: they are too few.
        """
        if pixels.ndim != 3 or pixels.shape[2] != self.channels or pixels.dtype != np.uint8 or not pixels.size:
            raise InputError(
                f"this network takes u8 pixels (height, width, {self.channels}), not {pixels.dtype} {pixels.shape}"
            )
        check_size(pixels.shape, self.smallest)

    def extend(self, pixels: Pixels) -> Pixels:
        """``pixels`` with as many copies of the last row and column as make both multiples of the unit."""
        return extended(pixels, self.unit)

    def of_any_size(self, run: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
        """``run``, which takes pictures whose sides are multiples of the unit, for all pictures that the network takes.

        What it returns raises what `check` does.
        """

        def whole(pixels: Pixels) -> Pixels:
            self.check(pixels)
            large: Pixels = in_units(run, self.unit)(pixels)
            return large

        return whole

    def enlarged(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the result's shape for a picture of ``shape`` (h, w, ...)."""
        height, width = shape[:2]
        return enlarged(height, self.scale), enlarged(width, self.scale), self.channels
