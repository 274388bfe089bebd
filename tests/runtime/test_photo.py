"""Photographs of every kind through networks of both kinds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolchain.images import Metadata, Photo
from toolchain.images.samples import join_16_bit, split_16_bit
from toolchain.runtime.photo import bicubic, bicubic_remainder, upscale_photo

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (8, 6, 3), dtype=np.uint8)


def doubled(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


def test_rgb_network_with_rgb_photo():
    big = upscale_photo(Photo(RGB), doubled, channels=3, scale=2)
    assert np.array_equal(big.pixels, doubled(RGB))
    assert big.alpha is None


def test_grey_photo_stays_grey_in_both_networks():
    grey = RGB[:, :, :1]
    for channels in (1, 3):
        seen = []
        big = upscale_photo(Photo(grey), lambda p: seen.append(p.shape) or doubled(p), channels=channels, scale=2)  # noqa: B023
        assert seen == [(8, 6, channels)]
        assert np.array_equal(big.pixels, doubled(grey))


def test_luma_network_with_colour_photo():
    smooth = np.asarray(Image.fromarray(RGB).resize((60, 80), Image.Resampling.BICUBIC))
    seen = []
    big = upscale_photo(
        Photo(smooth), lambda p: seen.append(p) or bicubic(p[:, :, 0], 2)[:, :, None], channels=1, scale=2
    )
    expected = Image.fromarray(smooth).convert("YCbCr")
    assert np.array_equal(seen[0][:, :, 0], np.asarray(expected)[:, :, 0])
    expected = expected.resize((120, 160), Image.Resampling.BICUBIC).convert("RGB")
    assert np.array_equal(big.pixels, np.asarray(expected))


def test_alpha_is_enlarged_by_itself():
    alpha = RNG.integers(0, 256, (8, 6), dtype=np.uint8)
    metadata = Metadata(xmp=b"packet")
    big = upscale_photo(Photo(RGB, alpha, metadata=metadata), doubled, channels=3, scale=2)
    assert np.array_equal(big.alpha, bicubic(alpha, 2))
    assert np.array_equal(big.pixels, doubled(RGB))
    assert big.metadata == metadata


def test_what_8_bits_leave_over_is_enlarged_and_added():
    ramp = np.tile(np.arange(30000, 30000 + 40 * 64, 40, dtype=np.uint16)[None, :, None], (6, 1, 3))
    pixels, remainder = split_16_bit(ramp)
    big = upscale_photo(Photo(pixels, None, remainder), doubled, channels=3, scale=2)
    assert np.array_equal(big.pixels, doubled(pixels))
    assert big.remainder is not None
    deep = join_16_bit(big.pixels, big.remainder).astype(np.int64)
    truth = 30000 - 10 + 20 * np.arange(128)  # the ramp at the places of the new pixels
    inner = slice(8, -8)
    assert abs(deep[3, inner, 0] - truth[inner]).max() < 150  # 8 bits have steps of 257
    rounded = 257 * big.pixels[3, inner, 0].astype(np.int64)
    assert abs(deep[3, inner, 0] - truth[inner]).mean() < abs(rounded - truth[inner]).mean() / 2


@given(height=st.integers(1, 9), width=st.integers(1, 9), scale=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_constant_remainder_stays_and_bands_equal_the_whole(height: int, width: int, scale: int, seed: int):
    flat = np.full((height, width, 2), seed - 50, np.int16)
    assert (bicubic_remainder(flat, scale) == seed - 50).all()
    values = np.random.default_rng(seed).integers(-128, 129, (height + 7, width, 1)).astype(np.int16)
    whole = bicubic_remainder(values, scale)
    band = bicubic_remainder(values[1:8], scale)
    assert np.array_equal(band[3 * scale : 4 * scale], whole[4 * scale : 5 * scale])
