"""How pictures are degraded: MATLAB's filter by its known numbers, means, noise, JPEG."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import photograph
from tests.quantize.helpers import shared
from toolchain.images import imresize, read_images
from toolchain.images.degradation import find_degradation
from toolchain.images.metrics import luma, psnr, shaved
from toolchain.support.errors import InputError

HALF = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
"""The weights of MATLAB's bicubic filter that halves a row."""


def test_matlab_halves_a_row_by_eight_pixels():
    row = np.random.default_rng(0).integers(0, 256, 40)
    found = imresize.shrink(np.broadcast_to(row[None, :, None], (40, 40, 1)).astype(np.uint8), 2)
    mirrored = np.concatenate([row[2::-1], row, row[:-4:-1]])  # the outermost pixel stands twice
    wanted = np.array([np.floor((mirrored[2 * i : 2 * i + 8] * HALF).sum() + 0.5).clip(0, 255) for i in range(20)])
    np.testing.assert_array_equal(found[10, :, 0], wanted)


def test_matlab_enlarges_by_four_pixels():
    row = np.arange(0, 200, 10)
    found = imresize.enlarge(np.broadcast_to(row[:, None, None], (20, 20, 1)).astype(np.uint8), 2)
    # Between two pixels of a slope the cubic kernel is a straight line; a quarter of the way from each.
    np.testing.assert_array_equal(found[8:32, 5, 0], np.floor((np.arange(8, 32) + 0.5) * 5 - 5 + 0.5))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_pictures_stay_flat(scale: int):
    flat = np.full((24, 36, 3), 77, np.uint8)
    for found in (imresize.shrink(flat, scale), imresize.enlarge(flat, scale)):
        assert np.unique(found).tolist() == [77]
    assert find_degradation("area", scale).apply(flat, scale).shape == (24 // scale, 36 // scale, 3)


@pytest.mark.parametrize(("scale", "wanted"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_scores_as_in_the_tables_of_papers(scale: int, wanted: float):
    """Set5; papers shrink luma alone, here it is that of the shrunk colours, rounded as these are."""
    way, found = find_degradation("matlab-bicubic", scale), []
    for image in read_images(shared("images/Set5")).images:
        high = image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
        made = way.enlarge(way.apply(high, scale), scale)
        found.append(psnr(shaved(luma(made), scale), shaved(luma(high), scale)))
    assert np.mean(found) == pytest.approx(wanted, abs=0.03)


def test_area_is_the_mean_rounded_half_up():
    pixels = np.array([[0, 1, 9], [1, 0, 9], [9, 9, 9]], np.uint8)[:, :, None]
    np.testing.assert_array_equal(find_degradation("area", 2).apply(pixels, 2), [[[1]]])
    np.testing.assert_array_equal(find_degradation("area", 3).apply(pixels, 3), [[[5]]])  # 47 / 9


def test_noise_is_the_same_every_time_and_as_strong_as_said():
    grey = np.full((100, 100, 3), 128, np.uint8)
    way = find_degradation("noise:12.5", 1)
    found = way.apply(grey, 1)
    np.testing.assert_array_equal(found, way.apply(grey, 1))
    assert found.astype(float).std() == pytest.approx(12.5, rel=0.03)
    assert "12.5 grey levels" in way.text


def test_jpeg_loses_more_at_a_lower_quality():
    picture = photograph(64, 48, 0)
    good, bad = (find_degradation(f"jpeg:{quality}", 1).apply(picture, 1) for quality in (90, 10))
    assert good.shape == picture.shape
    assert psnr(good, picture) > psnr(bad, picture) + 3


@pytest.mark.parametrize(
    ("name", "scale", "sentence"),
    [
        ("lanczos", 2, "--degradation lanczos is not known; there are: bicubic, matlab-bicubic, area"),
        ("area", 1, "the network enlarges nothing; there are: none, noise:SIGMA, jpeg:QUALITY"),
        ("none", 2, "the network enlarges 2 times; there are: bicubic, matlab-bicubic, area"),
        ("noise:25", 3, "the network enlarges 3 times"),
        ("noise", 1, "--degradation noise: is not understood; give a standard deviation"),
        ("noise:0", 1, "is not understood"),
        ("noise:1.2.3", 1, "is not understood"),
        ("noise:nan", 1, "is not understood"),
        ("jpeg:101", 1, "give a quality such as jpeg:30"),
        ("jpeg:9.5", 1, "give a quality such as jpeg:30"),
    ],
)
def test_what_does_not_fit(name: str, scale: int, sentence: str):
    with pytest.raises(InputError) as raised:
        find_degradation(name, scale)
    assert sentence in str(raised.value)


def test_usual_ones():
    assert (find_degradation(None, 1).name, find_degradation(None, 2).name) == ("none", "bicubic")
