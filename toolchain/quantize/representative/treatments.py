"""What becomes of a natural image whose output leaves the range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from toolchain.quantize.representative.tamed import Extremes, Outputs, Pixels, extremes, inside

Treated: TypeAlias = tuple[float, Pixels, Extremes]
"""A contraction factor, the image contracted by it, and the extremes of its outputs."""

Treatment: TypeAlias = Callable[[Outputs, Pixels, Extremes], Treated | None]
"""(network, overshooting image, range) to a tamed image, or None where it is to be left out."""

_HALVINGS = 9  # a contraction factor is found to 1/512


def contract(pixels: Pixels, factor: float, anchor: float = 127.5) -> Pixels:
    """Return pixels moved towards ``anchor``: ``anchor + factor * (pixels - anchor)``, rounded half to even,
    saturated.
    """
    moved = anchor + factor * (pixels.astype(np.float64) - anchor)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def largest_factor(
    run: Outputs, make: Callable[[float], Pixels], wanted: Extremes, most: float = 1.0
) -> Treated | None:
    """Bisect for the largest factor in (0, most) whose image keeps the output in range; None where none found does."""
    low, high = 0.0, most
    best = None
    for _ in range(_HALVINGS):
        factor = (low + high) / 2
        pixels = make(factor)
        found = extremes(run(pixels))
        if inside(found, wanted):
            low, best = factor, (factor, pixels, found)
        else:
            high = factor
    return best


def contracted(run: Outputs, pixels: Pixels, wanted: Extremes) -> Treated | None:
    """Contracted about mid-grey by the largest factor that fits; left out where none does."""
    return largest_factor(run, lambda factor: contract(pixels, factor), wanted)


def left_out(run: Outputs, pixels: Pixels, wanted: Extremes) -> Treated | None:
    """Left out: only images that are in range by themselves stay."""
    return None


TREATMENTS: Final[dict[str, Treatment]] = {"contract": contracted, "select": left_out}
