"""The packed layout: nothing is lost, and what lies outside the picture is the zero point."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.kernels.layout import PACK, SIDE, Geometry, blocks_of, pack, unpack

geometries = st.builds(Geometry, st.integers(0, SIDE), st.sampled_from([4, 8, 16, 48, 80]))


@given(st.integers(1, 13), st.integers(1, 6), st.integers(1, 90), geometries, st.integers(0, 255), st.integers(0, 9))
def test_round_trip(channels: int, height: int, width: int, geometry: Geometry, zero: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)
    words = pack(codes, geometry, zero)
    assert words.dtype == np.uint32
    assert words.shape == geometry.shape(blocks_of(channels), height, geometry.tiles(width))
    np.testing.assert_array_equal(unpack(words, geometry, channels, height, width), codes)
    # Written over with the zero point, nothing else is left: neither around the picture nor in missing channels.
    everything = np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, PACK).copy()
    for channel in range(channels):
        block, position = divmod(channel, PACK)
        everything[geometry.margin : geometry.margin + height, block, SIDE : SIDE + width, position] = zero
    assert (everything == zero).all()


@given(st.integers(1, 9), geometries, st.integers(0, 65535), st.integers(0, 9))
def test_16_bits_are_two_tensors_of_8(channels: int, geometry: Geometry, zero: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, 65536, (channels, 3, 21), dtype=np.uint16)
    words = pack(codes, geometry, zero)
    high, low = np.split(words, 2, axis=1)
    np.testing.assert_array_equal(high, pack((codes // 256).astype(np.uint8), geometry, zero // 256))
    np.testing.assert_array_equal(low, pack((codes % 256).astype(np.uint8), geometry, zero % 256))
    np.testing.assert_array_equal(unpack(words, geometry, channels, 3, 21, wide=True), codes)


@given(st.integers(1, 9), st.integers(1, 300), st.sampled_from([4, 16, 80]))
def test_whole_tiles_cover_the_width(channels: int, width: int, columns: int):
    tiles = Geometry(1, columns).tiles(width)
    assert (tiles - 1) * columns < width <= tiles * columns
    assert (blocks_of(channels) - 1) * PACK < channels <= blocks_of(channels) * PACK


def test_the_first_channel_is_the_lowest_byte():
    codes = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1)
    words = pack(codes, Geometry(1, 4), 0)
    assert words[1, 0, SIDE] == 0x04030201
    assert words[1, 1, SIDE] == 0x00000005
    assert np.count_nonzero(words) == 2
