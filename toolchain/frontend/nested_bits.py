"""Weights' codes that hold codes of fewer bits: the first bits of each are its code in a smaller network.

Our reading of what MatQuant (arXiv 2502.06786) slices and vertical layering (arXiv 2212.05326) takes off bit by bit: a
code of fewer bits is the one of more, divided by a power of two and rounded, halves up, from each member of the nest to
the next. With one offset for the whole nest that is a shift, so the bits that were cut off need not be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST: Final = 2
MOST: Final = 8


@dataclass(frozen=True)
class Nesting:
    """Networks of so many bits each in one.

    Attributes:
        bits: of their weights' codes, falling, from 8 to 2.
    """

    bits: tuple[int, ...]

    @property
    def offset(self) -> int:
        """Half a step of every member but the first, in steps of the first: it makes a rounding of cutting bits off."""
        return sum(1 << (self.bits[0] - bits - 1) for bits in self.bits[1:])

    def shift(self, bits: int) -> int:
        """Return how many bits fewer than the first member one has."""
        return self.bits[0] - bits

    def sliced(self, codes: NDArray[np.int8], bits: int) -> NDArray[np.int8]:
        """Return the codes of the member of ``bits`` for those of the first; a step of its is ``2**shift`` of these."""
        shift = self.shift(bits)
        whole = (codes.astype(np.int16) + self.offset) >> shift
        found: NDArray[np.int8] = (whole - (self.offset >> shift)).astype(np.int8)
        return found

    def planes(self, codes: NDArray[np.int8]) -> NDArray[np.uint8]:
        """Return the bits of the first member's codes, flat, most significant plane first: 0 or 1, (bits, n)."""
        lifted = codes.ravel().astype(np.int16) + self.offset
        return np.stack([(lifted >> place) & 1 for place in reversed(range(self.bits[0]))]).astype(np.uint8)

    def of_planes(self, planes: NDArray[np.uint8], bits: int) -> NDArray[np.int8]:
        """Return the codes of the member of ``bits``, flat, from the first ``bits`` planes: 0 or 1, (bits, n)."""
        found = -planes[0].astype(np.int16)  # the first is the sign
        for plane in planes[1:bits]:
            found = 2 * found + plane
        codes: NDArray[np.int8] = (found - (self.offset >> self.shift(bits))).astype(np.int8)
        return codes


def is_falling(bits: Sequence[int]) -> bool:
    """Return whether these can be the members of a nest: two or more, each with fewer bits than the one before."""
    falls = all(more > fewer for more, fewer in pairwise(bits))
    return len(bits) > 1 and falls and bits[-1] >= FEWEST and bits[0] <= MOST
