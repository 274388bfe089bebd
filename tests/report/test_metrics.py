"""PSNR and SSIM are the standard ones: checked by hand and against scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolchain.images.metrics import luma, psnr, shaved, ssim

RNG = np.random.default_rng(7)


def test_psnr_by_hand():
    a = np.zeros((4, 4, 3), np.uint8)
    assert psnr(a, a) == math.inf
    assert psnr(a, a + 255) == pytest.approx(0.0)
    assert psnr(a, a + 1) == pytest.approx(48.1308, abs=1e-4)


def test_luma_is_16_to_235():
    assert luma(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).tolist() == [[16.0, pytest.approx(235.0)]]
    assert luma(np.full((1, 1, 1), 255, np.uint8))[0, 0] == pytest.approx(235.0)


def test_psnr_luma_weighs_green_most():
    a = np.full((4, 4, 3), 100, np.uint8)
    red, green = a.copy(), a.copy()
    red[..., 0] += 10
    green[..., 1] += 10
    assert psnr(luma(a), luma(red)) > psnr(luma(a), luma(green))
    assert psnr(luma(a), luma(green)) == pytest.approx(20 * math.log10(255 / (10 * 128.553 / 255)))


def test_shave():
    a = RNG.integers(0, 256, (10, 12, 3), dtype=np.uint8)
    assert np.array_equal(shaved(a, 3), a[3:7, 3:9])
    assert shaved(a, 0).shape == a.shape
    assert shaved(a, 5).shape == a.shape  # nothing would be left


def test_ssim_equals_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    a = RNG.uniform(0, 255, (40, 37))
    b = np.clip(a + RNG.normal(0, 20, a.shape), 0, 255)
    expected = metrics.structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)
    assert ssim(a, a) == pytest.approx(1.0)


def test_ssim_of_a_tiny_picture_is_not_a_number():
    assert math.isnan(ssim(np.zeros((10, 30)), np.zeros((10, 30))))


def test_unlike_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        psnr(np.zeros((2, 2)), np.zeros((2, 3)))
