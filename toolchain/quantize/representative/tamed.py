"""The tamed set as data: each image with its proof, and what the outputs of all of them cover."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.reference.quantization import Quantization

Pixels: TypeAlias = NDArray[np.uint8]
Extremes: TypeAlias = tuple[float, float]
Outputs: TypeAlias = Callable[[Pixels], NDArray[np.float32]]


@dataclass(frozen=True)
class TamedImage:
    """One image of the set and its proof.

    Attributes:
        pixels: u8 (h, w, C).
        source: index of the natural image it was made from; -1 for a flat frame.
        kind: "natural" (unchanged), "contracted", "flat", or "end" (built so that the output touches an end).
        factor: contraction factor, 1 for unchanged.
        before: smallest and largest output, in the network's units, of the natural image.
        after: the same for ``pixels``.
        place: row and column in the natural image of the first pixel.
    """

    pixels: Pixels
    source: int
    kind: Literal["natural", "contracted", "flat", "end"]
    factor: float
    before: Extremes
    after: Extremes
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class OutputSpan:
    """What the outputs of the whole set span, in the network's units; ``tolerance`` is half a pixel step."""

    low: float
    high: float
    wanted: Extremes
    tolerance: float

    @classmethod
    def of(cls, images: Sequence[TamedImage], wanted: Extremes) -> OutputSpan:
        """Return the coverage of ``images``; an empty set covers the middle only."""
        middle = (wanted[0] + wanted[1]) / 2
        low = min((image.after[0] for image in images), default=middle)
        high = max((image.after[1] for image in images), default=middle)
        return cls(low, high, wanted, (wanted[1] - wanted[0]) / 255 / 2)

    @property
    def touches_low(self) -> bool:
        """Whether the smallest output is the lower end to within half a pixel step."""
        return abs(self.low - self.wanted[0]) <= self.tolerance

    @property
    def touches_high(self) -> bool:
        """Whether the largest output is the upper end to within half a pixel step."""
        return abs(self.high - self.wanted[1]) <= self.tolerance

    @property
    def inside(self) -> bool:
        """Whether no output leaves the range."""
        return inside((self.low, self.high), self.wanted)

    @property
    def proved(self) -> bool:
        """Whether a calibrator that records extremes finds the pixel range with this set."""
        return self.inside and self.touches_low and self.touches_high

    def quantization(self) -> Quantization:
        """Return what a calibrator that records extremes would write for the output."""
        return Quantization.of_range(self.low, self.high)


@dataclass(frozen=True)
class Rejected:
    """A natural image, or patch of one, that is not in the set: its outputs could not be brought into range."""

    source: int
    place: tuple[int, int]
    before: Extremes


@dataclass(frozen=True)
class RepresentativeSet:
    """The tamed images, the natural ones that are not among them, and what the outputs cover."""

    images: tuple[TamedImage, ...]
    rejected: tuple[Rejected, ...]
    coverage: OutputSpan


def extremes(values: NDArray[np.float32]) -> Extremes:
    """Return smallest and largest value."""
    return float(values.min()), float(values.max())


def inside(found: Extremes, wanted: Extremes) -> bool:
    """Return whether ``found`` lies within ``wanted``."""
    return wanted[0] <= found[0] and found[1] <= wanted[1]
