"""Bands cover a picture once and in order, whatever parts its rows come in; the network sees bands of one size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.fakes import FakeNetwork
from toolchain.images import Photo
from toolchain.runtime.bands import bands
from toolchain.runtime.photo import upscale_photo


@given(
    height=st.integers(1, 40),
    rows=st.integers(1, 30),
    part=st.integers(1, 20),
    layers=st.integers(0, 2),
    seed=st.integers(0, 50),
)
def test_enlarged_bands_are_the_enlarged_picture(height: int, rows: int, part: int, layers: int, seed: int):
    rng = np.random.default_rng(seed)
    network = FakeNetwork(channels=3, scale=2, layers=layers)
    photo = Photo(
        rng.integers(0, 256, (height, 5, 3), dtype=np.uint8),
        rng.integers(0, 256, (height, 5), dtype=np.uint8),
        rng.integers(-128, 129, (height, 5, 4)).astype(np.int16),
    )
    parts = [photo.rows(top, top + part) for top in range(0, height, part)]
    found = []
    for band in bands(parts, height, rows, max(network.halo, 3)):
        found.append(band.inner(upscale_photo(band.photo, network.upscale, channels=3, scale=2), 2))
    assert len(set(network.calls)) == 1
    whole = upscale_photo(photo, network.upscale, channels=3, scale=2)
    for name in ("pixels", "alpha", "remainder"):
        assert np.array_equal(np.concatenate([getattr(one, name) for one in found]), getattr(whole, name))
