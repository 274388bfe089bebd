"""Training pairs: low resolution is the bicubic of high resolution, patch by patch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photograph
from toolchain.support.errors import InputError
from toolchain.zoo.photos import Pair, batches, downscale, load_pairs


def shapes(pairs: list[Pair]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(pair.low.shape, pair.high.shape) for pair in pairs]


def test_pairs_of_a_folder(photo_folder: Path, tmp_path: Path):
    for path in photo_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "notes.txt").write_text("no photograph")
    (tmp_path / "broken.png").write_bytes(b"neither")
    pairs = load_pairs(tmp_path, 3)
    assert [pair.name for pair in pairs] == ["photo0.png@1", "photo1.png@1", "photo2.png@1"]
    assert shapes(pairs) == [((20, 23, 3), (60, 69, 3)), ((21, 16, 3), (63, 48, 3)), ((17, 21, 3), (51, 63, 3))]
    for pair in pairs:
        assert pair.low.dtype == pair.high.dtype == np.uint8
        np.testing.assert_array_equal(pair.low, np.asarray(downscale(Image.fromarray(pair.high), 3)))


def test_sizes_and_photographs_smaller_than_a_patch(photo_folder: Path):
    pairs = load_pairs(photo_folder, 2, sizes=(1.0, 0.5), patch=15)
    assert [pair.name for pair in pairs] == ["photo0.png@1", "photo0.png@0.5", "photo1.png@1", "photo2.png@1"]
    assert shapes(pairs[1:2]) == [((15, 17, 3), (30, 34, 3))]
    with pytest.raises(InputError, match="no photograph of at least 200 x 200 pixels"):
        load_pairs(photo_folder, 2, patch=100)


def flat(height: int, width: int) -> list[Pair]:
    """A smooth slope: there bicubic reduction is the mean, up to rounding, wherever a patch is cut."""
    y, x = np.mgrid[0:height, 0:width]
    high = np.stack([20 + y, 20 + x, 20 + (x + y) / 2], axis=-1).astype(np.uint8)
    return [Pair("slope", np.asarray(downscale(Image.fromarray(high), 2)), high)]


def test_batches_are_aligned():
    source = batches(flat(120, 140), 2, patch=9, batch=16, rng=np.random.default_rng(0))
    seen = set()
    for _ in range(4):
        low, high = next(source)
        assert (low.shape, high.shape) == ((16, 3, 9, 9), (16, 3, 18, 18))
        assert low.dtype == high.dtype == np.float32
        assert low.flags.c_contiguous
        assert high.flags.c_contiguous
        assert low.min() >= 0.0
        assert high.max() <= 1.0
        mean = high.reshape(16, 3, 9, 2, 9, 2).mean(axis=(3, 5))
        np.testing.assert_allclose(low, mean, atol=1.6 / 255)
        # Off by one pixel the slope would be seen: the bound above means something.
        assert np.abs(low[..., 1:] - mean[..., :-1]).max() > 1.8 / 255 / 2
        seen |= {
            (float(np.sign(item[0, -1, 4] - item[0, 0, 4])), float(np.sign(item[0, 4, -1] - item[0, 4, 0])))
            for item in high
        }
    assert seen == {(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)}, "turned four ways"


def test_batches_of_a_photograph_are_reproducible_crops():
    high = photograph(80, 100, 3)
    pair = Pair("photo", np.asarray(downscale(Image.fromarray(high), 2)), high)
    first, again = (next(batches([pair], 2, patch=6, batch=8, rng=np.random.default_rng(7))) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    # A patch as large as the picture leaves one crop: bright, and dimmed to 0.7 and 0.5 as often together.
    whole = Pair("square", pair.low[:40, :40], pair.high[:80, :80])
    low, high_batch = next(batches([whole], 2, patch=40, batch=64, rng=np.random.default_rng(1)))
    levels = np.round(high_batch.mean(axis=(1, 2, 3)) / (whole.high.mean() / 255), 2)
    assert set(levels.tolist()) == {1.0, 0.7, 0.5}
    assert 20 < np.count_nonzero(levels == 1.0) < 44
    np.testing.assert_allclose(low.mean(axis=(1, 2, 3)), whole.low.mean() / 255 * levels, rtol=1e-2)
