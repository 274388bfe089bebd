"""Y'CbCr and RGB: what standards say, in integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from toolchain.video.colours import MATRICES, ColourSpace, rgb_to_chroma, rgb_to_luma, usual_space, yuv_to_rgb

RNG = np.random.default_rng(1)
SPACES = [ColourSpace(matrix, full) for matrix, full in itertools.product(MATRICES, (False, True))]
WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def exact(rgb: np.ndarray, space: ColourSpace) -> list[np.ndarray]:
    """Luma and chroma of RGB as the standards have it, not rounded."""
    red, blue = WEIGHTS[space.matrix]
    luma = red * rgb[..., 0] + (1 - red - blue) * rgb[..., 1] + blue * rgb[..., 2]
    chroma = [(rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)]
    if space.full:
        return [luma, *(plane + 128 for plane in chroma)]
    return [luma * 219 / 255 + 16, *(plane * 224 / 255 + 128 for plane in chroma)]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_they_are_the_standards_rounded(space: ColourSpace):
    rgb = RNG.integers(0, 256, (70, 50, 3), dtype=np.uint8)
    made = (rgb_to_luma(rgb, space), *rgb_to_chroma(rgb, 0, space))
    for plane, real in zip(made, exact(rgb.astype(float), space), strict=True):
        assert np.abs(plane - np.clip(real, 0, 255)).max() < 0.51
    back = yuv_to_rgb(*made, space)
    assert np.abs(back.astype(int) - rgb).max() <= (1 if space.full else 2)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_greys_have_no_colour_and_the_ends_are_met(space: ColourSpace):
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    luma, (blue, red) = rgb_to_luma(grey, space), rgb_to_chroma(grey, 0, space)
    assert (blue == 128).all()
    assert (red == 128).all()
    assert (luma[0, 0], luma[0, 255]) == ((0, 255) if space.full else (16, 235))
    assert np.abs(yuv_to_rgb(luma, blue, red, space).astype(int) - grey).max() <= (0 if space.full else 1)


def test_what_is_beyond_the_range_is_cut():
    planes = [np.full((1, 1), value, np.uint8) for value in (255, 128, 255)]
    assert yuv_to_rgb(*planes, ColourSpace("bt709", full=False)).tolist() == [[[255, 211, 255]]]
    planes = [np.zeros((1, 1), np.uint8)] * 3
    assert yuv_to_rgb(*planes, ColourSpace("bt601", full=False))[0, 0, 0] == 0


def test_means_are_rounded_once():
    rgb = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    space = ColourSpace("bt709", full=False)
    sums = rgb.reshape(2, 2, 2, 2, 3).sum(axis=(1, 3), dtype=np.uint16)
    for plane, real in zip(rgb_to_chroma(sums, 2, space), exact(sums / 4, space)[1:], strict=True):
        assert np.abs(plane - real).max() < 0.51


def test_films_that_do_not_say():
    assert usual_space(640, 480) == ColourSpace("bt601", full=False)
    assert usual_space(1280, 720) == ColourSpace("bt709", full=False)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_ten_bits_are_four_times_eight(space: ColourSpace):
    rgb = RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    deep = rgb.astype(np.uint16) * 4
    made = (rgb_to_luma(deep, space, 10), *rgb_to_chroma(deep, 0, space, 10))
    for plane, real in zip(made, exact(rgb.astype(float), space), strict=True):
        assert plane.dtype == np.uint16
        assert np.abs(plane - np.clip(4 * real, 0, 1023)).max() < 0.51
    assert np.abs(yuv_to_rgb(*made, space, 10).astype(int) - deep).max() <= 2
    largest = np.full((2, 2, 3), 1023, np.uint16)
    sums = np.full((1, 1, 3), 16 * 1023, np.uint16)
    assert rgb_to_chroma(sums, 4, space, 10)[0].tolist() == [[512]], "nothing overflows"
    assert int(rgb_to_luma(largest, space, 10).max()) == (1023 if space.full else 943)
