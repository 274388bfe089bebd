"""Which pictures a network takes."""

from __future__ import annotations

import numpy as np
import pytest

from toolchain.images.geometry import Geometry
from toolchain.support.errors import InputError, TooSmallError


def doubled(pixels: np.ndarray) -> np.ndarray:
    assert pixels.shape[0] % 4 == pixels.shape[1] % 4 == 0
    return pixels.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("size", [(3, 5), (4, 8), (9, 3)])
def test_pictures_of_any_size_are_enlarged(size: tuple[int, int]):
    geometry = Geometry(3, 2, unit=4, smallest=(3, 2))
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    large = geometry.of_any_size(doubled)(pixels)
    np.testing.assert_array_equal(large, pixels.repeat(2, axis=0).repeat(2, axis=1))
    assert large.shape == geometry.enlarged(pixels.shape)


@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [
        ((4, 4, 1), "uint8", InputError),
        ((4, 4, 3), "float32", InputError),
        ((4, 4), "uint8", InputError),
        ((0, 4, 3), "uint8", InputError),
        ((2, 4, 3), "uint8", TooSmallError),
        ((3, 1, 3), "uint8", TooSmallError),
    ],
)
def test_what_does_not_fit_is_refused_before_it_runs(shape: tuple[int, ...], dtype: str, error: type[InputError]):
    def run(_pixels: np.ndarray) -> np.ndarray:
        pytest.fail("was run")

    with pytest.raises(error):
        Geometry(3, 2, unit=4, smallest=(3, 2)).of_any_size(run)(np.zeros(shape, dtype))
