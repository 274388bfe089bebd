"""Pictures of any size for networks that take multiples of a unit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.images.units import extended, in_units


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8), st.integers(1, 4))
def test_what_is_added_is_the_border_and_is_cut_off_again(height: int, width: int, unit: int, scale: int):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    given: list[np.ndarray] = []

    def enlarge(picture: np.ndarray) -> np.ndarray:
        given.append(picture)
        return picture.repeat(scale, axis=0).repeat(scale, axis=1)

    found = in_units(enlarge, unit)(pixels)
    np.testing.assert_array_equal(found, pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    (seen,) = given
    assert seen.shape[0] % unit == seen.shape[1] % unit == 0
    assert max(seen.shape[0] - height, seen.shape[1] - width) < unit
    assert (seen[height:] == seen[height - 1]).all()
    assert (seen[:, width:] == seen[:, width - 1 : width]).all()


def test_what_fits_is_not_copied():
    pixels = np.zeros((6, 9, 1), np.uint8)
    assert extended(pixels, 3) is pixels
