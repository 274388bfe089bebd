"""Samples of more than 8 bits: what of them 8 bits hold, what is left over, and which values are black and white."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.images.photo import Pixels
from toolchain.support.errors import InputError

Samples = npt.NDArray[Any]


@dataclass(frozen=True)
class SampleRange:
    """Which samples are black and white; whether the samples alone tell so; whether 8 bits hold them."""

    black: float
    white: float
    guessed: bool = False
    eight_bits: bool = False

    def to_16_bit(self, samples: Samples) -> npt.NDArray[np.uint16]:
        """Return samples as u16, ``black`` at 0 and ``white`` at 65535, rounded."""
        scaled = (samples.astype(np.float64) - self.black) * (65535.0 / (self.white - self.black))
        found: npt.NDArray[np.uint16] = np.rint(np.clip(scaled, 0.0, 65535.0)).astype(np.uint16)
        return found


def find_range(strips: Iterable[Samples], name: str) -> SampleRange:
    """Return what black and white are in the samples of the picture ``name``, which no 8 or 16 bits hold.

    Integers are 0..255 or 0..65535, whichever holds them all; floating-point samples are 0..1. Samples beyond these are
    taken from the least of them (or 0) to the greatest.

    Raises:
        InputError: some are no numbers.
    """
    low, high, whole = 0.0, 0.0, True
    for strip in strips:
        low, high = min(low, float(strip.min())), max(high, float(strip.max()))
        whole = whole and np.issubdtype(strip.dtype, np.integer)
        if not np.isfinite(strip.sum(dtype=np.float64)):
            raise InputError(f"{name} has samples that are no finite numbers", hint="save it with 8 or 16 bits")
    if low >= 0.0 and high <= (65535.0 if whole else 1.0):
        eight_bits = whole and high <= 255.0
        white = 1.0 if not whole else 255.0 if eight_bits else 65535.0
        return SampleRange(0.0, white, guessed=eight_bits, eight_bits=eight_bits)
    return SampleRange(low, max(high, low + 1.0), guessed=True)


def reduce_16_bit(values: npt.NDArray[np.integer]) -> Pixels:
    """16-bit samples to 8 bit: round(v / 257), so that 0, 65535 and every 8-bit value times 257 are met exactly."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def split_16_bit(values: npt.NDArray[np.uint16]) -> tuple[Pixels, npt.NDArray[np.int16]]:
    """16-bit samples as 8 bits and what these leave over, -128..128."""
    reduced = reduce_16_bit(values)
    return reduced, (values.astype(np.int32) - reduced.astype(np.int32) * 257).astype(np.int16)


def join_16_bit(reduced: Pixels, remainder: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    """``split_16_bit`` undone; sums beyond 0..65535 are cut."""
    joined: npt.NDArray[np.uint16] = np.clip(reduced.astype(np.int32) * 257 + remainder, 0, 65535).astype(np.uint16)
    return joined
