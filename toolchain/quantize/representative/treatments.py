"""What becomes of a natural image whose output leaves the range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.representative.largest import Network, Treated, largest_factor
from toolchain.quantize.representative.tamed import Extremes, Pixels

Treatment: TypeAlias = Callable[[Network, Pixels, NDArray[np.float32], Extremes], Treated | None]
"""(network, overshooting image, its outputs, range) to a tamed image, or None where it is to be left out."""


def contract(pixels: Pixels, factor: float, anchor: float = 127.5) -> Pixels:
    """Return pixels moved towards ``anchor``: ``anchor + factor * (pixels - anchor)``, rounded half to even,
    saturated.
    """
    moved = anchor + factor * (pixels.astype(np.float64) - anchor)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def contracted(network: Network, pixels: Pixels, outputs: NDArray[np.float32], wanted: Extremes) -> Treated | None:
    """Contracted about mid-grey by the largest factor that fits; left out where none does."""
    return largest_factor(network, pixels, contract, wanted, known=outputs)


def left_out(network: Network, pixels: Pixels, outputs: NDArray[np.float32], wanted: Extremes) -> Treated | None:
    """Left out: only images that are in range by themselves stay."""
    return None


TREATMENTS: Final[dict[str, Treatment]] = {"contract": contracted, "select": left_out}
