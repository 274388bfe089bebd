"""Tiles cover the picture once, and their bytes equal the whole picture's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.fakes import FakeNetwork
from toolchain.runtime.tiles import ALIGNED, SMALLEST, Tiling, around, choose_tile, plan_tiles, upscale_tiled

sides = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, tile=st.integers(1, 30), layers=st.integers(0, 3), scale=st.integers(1, 3))
def test_byte_equal_to_the_whole(height: int, width: int, tile: int, layers: int, scale: int):
    network = FakeNetwork(channels=1, scale=scale, layers=layers)
    pixels = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 1), dtype=np.uint8)
    tiled = upscale_tiled(network.upscale, pixels, scale=scale, halo=network.halo, tile=tile)
    assert np.array_equal(tiled, network.upscale(pixels))


@given(height=sides, width=sides, tile=st.integers(1, 50), halo=st.integers(0, 9))
def test_the_plan_covers_every_pixel_once_and_stays_inside(height: int, width: int, tile: int, halo: int):
    seen = np.zeros((height, width), int)
    for part in plan_tiles(height, width, tile, halo):
        seen[part.top : part.bottom, part.left : part.right] += 1
        assert 0 <= part.source_top <= part.top < part.bottom <= part.source_bottom <= height
        assert 0 <= part.source_left <= part.left < part.right <= part.source_right <= width
        assert max(part.bottom - part.top, part.right - part.left) <= tile
        assert part.source_top % ALIGNED == part.source_left % ALIGNED == 0
    assert (seen == 1).all()


def test_a_halo_one_too_small_shows():
    network = FakeNetwork(layers=2)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    wrong = upscale_tiled(network.upscale, pixels, scale=2, halo=network.halo - 1, tile=10)
    assert not np.array_equal(wrong, network.upscale(pixels))


def test_progress_and_tile_sizes():
    network, seen = FakeNetwork(), []
    pixels = np.zeros((50, 30, 3), np.uint8)
    upscale_tiled(
        network.upscale, pixels, scale=2, halo=3, tile=20, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(index, 6) for index in range(1, 7)]
    assert all(max(shape[:2]) <= 20 + around(3) for shape in network.calls)


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    halo=st.integers(0, 20),
    bytes_per_pixel=st.floats(3, 2000),
    budget=st.integers(10**6, 10**9),
)
def test_the_chosen_tile_fits_the_memory(height: int, width: int, halo: int, bytes_per_pixel: float, budget: int):
    tile = choose_tile(height, width, halo=halo, bytes_per_pixel=bytes_per_pixel, budget=budget)
    if tile is None:
        assert height * width * bytes_per_pixel <= budget
    elif tile > SMALLEST:
        assert (tile + around(halo)) ** 2 * bytes_per_pixel <= budget


@pytest.mark.parametrize(("tile", "halo"), [(0, 1), (4, -1)])
def test_impossible_plans_are_refused(tile: int, halo: int):
    with pytest.raises(ValueError, match="no plan"):
        plan_tiles(8, 8, tile, halo)


@pytest.mark.parametrize(
    ("side", "budget", "expected"), [(None, None, None), (9, None, 9), (None, 10**9, None), (None, 45_000, 18)]
)
def test_tiling_decides_by_side_and_budget(side: int | None, budget: int | None, expected: int | None):
    network = FakeNetwork()
    tiling = Tiling(2, network.halo, 50.0, side, budget)
    assert tiling.side_for(40, 33) == expected
    pixels = np.random.default_rng(0).integers(0, 256, (40, 33, 3), dtype=np.uint8)
    assert np.array_equal(tiling.over(network.upscale)(pixels), network.upscale(pixels))
    assert len(network.calls) == (2 if expected is None else 1 + -(-40 // expected) * -(-33 // expected))


def test_a_network_that_sees_everything_is_never_cut():
    assert Tiling(2, 1 << 20, 50.0, 9, 30_000).side_for(400, 300) is None
