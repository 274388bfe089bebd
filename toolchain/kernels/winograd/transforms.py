"""F(4x4,3x3) in integers: 4x4 outputs of a 3x3 convolution from 6x6 inputs by 36 products instead of 144, exactly.

Winograd's minimal filtering (Lavin and Gray, CVPR 2016) with the points 0, 1, -1, 2, -2 and infinity has fractions in
its weight transform. Here each row of it is multiplied by what makes it whole, and what comes out is ``576 * y``:

- |U| <= 144 * 128 = 18432 for weights of 8 bits, and |V| <= 68 * 255 = 17340 for codes of 8 bits: both fit into int16.
- All that follows is additions and multiplications modulo 2^32, where 9 has an inverse: ``576 * y * INVERSE`` is
  ``64 * y`` whether or not ``576 * y`` wrapped around. For |y| < 2^25 that is the true 64 * y.
- float32(64 * y) * (m / 64) has the bits of float32(y) * m: 64 is a power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

TAPS = 3
"""Rows and columns of weights."""

SIDE = 4
"""Rows and columns of outputs that are computed together: a tile."""

POINTS = 6
"""Rows and columns of inputs that they need."""

SAVING = (TAPS * SIDE) ** 2 / POINTS**2
"""Products that a direct convolution needs for one of these."""

SCALE = 576
"""What the sums are multiplied by."""

INVERSE = 0x38E38E39
"""The inverse of 9 modulo 2^32."""

LEFT = 64
"""What the sums are still multiplied by after a multiplication by `INVERSE`."""

LARGEST = 2**25
"""Sums must be smaller in magnitude."""

_WEIGHTS = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 6))


def weights(given: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int16]:
    """Transform int8 weights (channels, channels in / groups, 3, 3): int16 (channels, channels in / groups, 6, 6)."""
    matrix = np.array(_WEIGHTS)
    return np.asarray(np.einsum("pi,qj,ocij->ocpq", matrix, matrix, given.astype(np.int64)), np.int16)


def inputs(d: Sequence[Any]) -> list[Any]:
    """Return six inputs, numbers or vectors of int16, transformed along one direction."""
    a, b = d[4] - _four(d[2]), d[3] - _four(d[1])
    c, e = d[4] - d[2], d[3] - d[1]
    twice = e + e
    return [_four(d[0] - d[2]) + c, a + b, a - b, c + twice, c - twice, d[5] - d[3] - (twice + twice)]


def outputs(m: Sequence[Any]) -> list[Any]:
    """Return six sums of products, numbers or vectors of 32 bits, to four outputs along one direction. The last sum
    counts four times, for its weights are 6 times those of the textbook, and all others come to 24 times.
    """
    near, across = m[1] + m[2], m[1] - m[2]
    far, beyond = m[3] + m[4], m[3] - m[4]
    twice = beyond + beyond
    return [m[0] + near + far, across + twice, near + _four(far), across + _four(twice + m[5])]


def _four(value: Any) -> Any:
    twice = value + value
    return twice + twice
