"""Photographs of every kind through networks of both kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolchain.errors import InputError, OutputError
from toolchain.images import Photo, read_photo
from toolchain.runtime.photo import bicubic, check_memory, check_output, upscale_photo, write_photo

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


def test_alpha_is_enlarged_by_itself(tmp_path: Path):
    alpha = RNG.integers(0, 256, (8, 6), dtype=np.uint8)
    big = upscale_photo(Photo(RGB, alpha, b"profile"), doubled, channels=3, scale=2)
    write_photo(tmp_path / "a.png", big)
    back = read_photo(tmp_path / "a.png")
    assert np.array_equal(back.alpha, bicubic(alpha, 2))
    assert np.array_equal(back.pixels, doubled(RGB))
    assert back.icc_profile == b"profile"


def test_jpeg_holds_no_transparency(tmp_path: Path):
    alpha = np.full((8, 6), 255, np.uint8)
    write_photo(tmp_path / "a.jpg", Photo(RGB, alpha))
    alpha[0, 0] = 7
    with pytest.raises(InputError, match=r"b.jpg cannot hold transparency; write a \.png"):
        write_photo(tmp_path / "b.jpg", Photo(RGB, alpha))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("name", ["big", "big.onnx", "big.txt"])
def test_a_name_that_is_no_picture(name: str):
    with pytest.raises(InputError, match="does not end as a picture does"):
        check_output(Path(name))


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Image.Image, file: object, *args: object, **options: object) -> None:
        file.write(b"half of it")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_photo(tmp_path / "a.png", Photo(RGB))
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_memory_is_refused():
    check_memory(100, 100, scale=3, available=8 * 90_000)
    check_memory(10**6, 10**6, scale=3, available=None)
    with pytest.raises(InputError, match=r"36000 x 30000 pixels need 8\.6 GB of memory, 4\.0 GB are free"):
        check_memory(10_000, 12_000, scale=3, available=4 * 10**9)
