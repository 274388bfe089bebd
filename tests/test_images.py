"""Pictures of every kind become 8-bit pixels; what cannot be read is named, not fatal."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolchain import images
from toolchain.errors import CalibrationError, InputError
from toolchain.images import read_images, read_photo, to_channels

RGB = np.random.default_rng(5).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def png16(path: Path, samples: np.ndarray) -> Path:
    """A 16-bit PNG, written by hand since Pillow cannot write colours of 16 bits."""
    height, width, channels = samples.shape
    colour = {1: 0, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def test_rgb(tmp_path: Path):
    photo = read_photo(save(tmp_path / "a.png", RGB))
    assert np.array_equal(photo.pixels, RGB)
    assert photo.alpha is None


def test_grey_stays_grey(tmp_path: Path):
    photo = read_photo(save(tmp_path / "a.png", RGB[:, :, 0]))
    assert np.array_equal(photo.pixels, RGB[:, :, :1])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_apart(tmp_path: Path, mode: str):
    image = Image.fromarray(RGB).convert(mode)
    alpha = np.random.default_rng(0).integers(0, 256, RGB.shape[:2], dtype=np.uint8)
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.pixels.shape[2] == (3 if mode == "RGBA" else 1)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, alpha)


def test_palette(tmp_path: Path):
    image = Image.fromarray(RGB).quantize(7)
    image.save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert np.array_equal(photo.pixels, np.asarray(image.convert("RGB")))


def test_transparent_palette(tmp_path: Path):
    image = Image.fromarray(RGB).quantize(7)
    image.save(tmp_path / "a.png", transparency=0)
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha == 0, np.asarray(image) == 0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_is_rounded_not_cut(tmp_path: Path, channels: int):
    samples = np.random.default_rng(1).integers(0, 65536, (13, 11, channels), dtype=np.uint16)
    samples[0, :3, 0] = 0, 65535, 128 * 257 + 129  # the last would be 128 if the lower byte were dropped
    photo = read_photo(png16(tmp_path / "a.png", samples))
    got = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    assert np.array_equal(got, np.rint(samples / 257).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "a.png", RGB, exif=exif)
    Image.fromarray(RGB.astype(np.uint16)[:, :, 0] * 257).save(tmp_path / "b.png", exif=exif)
    upright = read_photo(tmp_path / "a.png").pixels
    assert upright.shape[:2] == ((9, 6) if orientation > 4 else (6, 9))
    assert np.array_equal(read_photo(tmp_path / "b.png").pixels[:, :, 0], upright[:, :, 0])


def test_cmyk_jpeg(tmp_path: Path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert read_photo(tmp_path / "a.jpg").pixels.shape == (8, 8, 3)


def test_colour_profile_is_carried(tmp_path: Path):
    save(tmp_path / "a.png", RGB, icc_profile=b"profile")
    assert read_photo(tmp_path / "a.png").icc_profile == b"profile"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"hello", "is not a picture"), (b"", "is not a picture"), (None, "there is no file"), ("cut", "is damaged")],
)
def test_unreadable(tmp_path: Path, content: bytes | str | None, sentence: str):
    path = tmp_path / "a.png"
    if content == "cut":
        save(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
        path.write_bytes(path.read_bytes()[:4000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_photo(path)
    assert "a.png" in str(caught.value)


def test_a_folder_is_no_picture(tmp_path: Path):
    with pytest.raises(InputError, match="is a folder"):
        read_photo(tmp_path)


@pytest.mark.parametrize("side", [13_000, 60_000])
def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path, side: int):
    path = png16(tmp_path / "a.png", np.zeros((1, 1, 3), np.uint16))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(data)
    with pytest.raises(InputError, match="more than the 150 million"):
        read_photo(path)


def test_floating_point_is_refused(tmp_path: Path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match="floating-point"):
        read_photo(tmp_path / "a.tiff")


def test_a_folder_in_the_order_of_names_with_bad_ones_named(tmp_path: Path):
    save(tmp_path / "b.png", RGB)
    save(tmp_path / "a.jpg", RGB[:, :, 0])
    (tmp_path / "c.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either, and not called one")
    found = read_images(tmp_path)
    assert found.names == ("a.jpg", "b.png")
    assert all(image.shape == (6, 9, 3) for image in found.images)
    assert [(skip.name, skip.reason) for skip in found.skipped] == [("c.png", "is not a picture that can be read")]


def test_no_picture_at_all(tmp_path: Path):
    with pytest.raises(CalibrationError, match="has no usable picture in it"):
        read_images(tmp_path)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(CalibrationError, match=r"has no usable picture: c\.png is not a picture"):
        read_images(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        read_images(tmp_path / "absent")


def test_too_small_pictures_are_skipped(tmp_path: Path):
    save(tmp_path / "a.png", RGB)
    save(tmp_path / "b.png", np.tile(RGB, (3, 3, 1)))
    found = read_images(tmp_path, smallest=10)
    assert found.names == ("b.png",)
    assert "has 9 x 6 pixels, needs 10 each way" in found.skipped[0].reason


def test_of_many_pictures_some_spread_evenly_are_read(tmp_path: Path):
    for index in range(7):
        save(tmp_path / f"{index}.png", RGB)
    (tmp_path / "2.png").write_bytes(b"no picture")
    found = read_images(tmp_path, most=3)
    assert found.names == ("0.png", "4.png")
    assert [skip.name for skip in found.skipped] == ["2.png", "4 of 7 pictures"]
    assert "3 that are spread evenly" in found.skipped[1].reason
    assert len(read_images(tmp_path, most=7).names) == 6


def test_crops_are_the_same_every_time_and_inside(tmp_path: Path):
    big = np.arange(50 * 70, dtype=np.uint32).reshape(50, 70)
    pixels = np.dstack([big % 251, big // 251, big % 7]).astype(np.uint8)
    save(tmp_path / "a.png", pixels)
    save(tmp_path / "b.png", RGB)
    first, second = (read_images(tmp_path, crop=32, crops_per_photo=3) for _ in range(2))
    assert len(first.names) == len(set(first.names)) == 4
    assert first.names[3] == "b.png"
    for image, again, name in zip(first.images[:3], second.images, first.names, strict=False):
        left, top = (int(part) for part in name.split("@")[1].split(","))
        assert np.array_equal(image, again)
        assert np.array_equal(image, pixels[top : top + 32, left : left + 32])
        assert image.shape == (32, 32, 3)


def test_luma_of_a_colour_picture():
    assert to_channels(RGB, 1).shape == (6, 9, 1)
    assert np.array_equal(to_channels(np.repeat(RGB[:, :, :1], 3, 2), 1), RGB[:, :, :1])
    assert images.MAX_PIXELS > 100_000_000
