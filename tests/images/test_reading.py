"""Pictures of every kind become 8-bit pixels; what cannot be read is named, not fatal."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from tests.images import profiles
from toolchain import images
from toolchain.images import open_picture, picture_files, read_images, read_photo, to_channels
from toolchain.images.samples import join_16_bit
from toolchain.support.errors import CalibrationError, InputError

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


def tiff(path: Path, samples: np.ndarray) -> Path:
    """A TIFF of any number format, by libvips."""
    pyvips.Image.new_from_array(samples).tiffsave(str(path))
    return path


@pytest.mark.parametrize(
    ("samples", "black", "white", "deep"),
    [
        (np.array([[0, 100, 255]], np.int32), 0, 255, False),
        (np.array([[0, 256, 65535]], np.uint32), 0, 65535, True),
        (np.array([[-500, 0, 99_500]], np.int32), -500, 99_500, True),
        (np.array([[0.0, 0.25, 0.5]], np.float32), 0, 1, True),
        (np.array([[0.0, 0.25, 3.0]], np.float32), 0, 3, True),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), -1, 1, True),
    ],
)
def test_samples_of_32_bits_by_their_range(tmp_path: Path, samples: np.ndarray, black: float, white: float, deep: bool):
    path = tiff(tmp_path / "a.tif", samples)
    assert open_picture(path).deep == deep
    photo = read_photo(path)
    expected = np.rint((samples.astype(np.float64) - black) / (white - black) * (65535 if deep else 255))
    found = photo.pixels[:, :, 0] if photo.remainder is None else join_16_bit(photo.pixels, photo.remainder)[:, :, 0]
    assert np.array_equal(found, expected)
    said = [note for note in open_picture(path).notes if "black" in note]
    assert said == (
        []
        if (black, white) in ((0, 1), (0, 65535))
        else [f"its samples are taken as {black:g} for black and {white:g} for white"]
    )


def test_samples_that_are_no_numbers(tmp_path: Path):
    path = tiff(tmp_path / "a.tif", np.array([[0.0, np.nan]], np.float32))
    with pytest.raises(InputError, match=r"a\.tif has samples that are no finite numbers"):
        read_photo(path)


def test_a_kind_of_tiff_that_is_not_read(tmp_path: Path):
    path = tiff(tmp_path / "a.tif", np.array([[0.0, 1.0]], np.float64))
    with pytest.raises(InputError, match=r"a\.tif is damaged, or of a kind of TIFF that is not read; save it with 8"):
        read_photo(path)


@pytest.mark.parametrize("suffix", ["bmp", "gif", "ppm", "tga", "webp", "jp2", "pcx"])
def test_other_formats_are_what_pillow_reads(tmp_path: Path, suffix: str):
    path = save(tmp_path / f"a.{suffix}", RGB)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(read_photo(path).pixels, expected)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_tiff_is_what_pillow_reads(tmp_path: Path, mode: str, compression: str):
    path = tmp_path / "a.tif"
    image = Image.fromarray(RGB).convert(mode)
    image.save(path, compression=compression)
    photo = read_photo(path)
    if mode != "CMYK":
        assert np.array_equal(
            photo.pixels, np.asarray(image.convert("RGB" if mode == "RGB" else "L")).reshape(6, 9, -1)
        )
    assert photo.pixels.shape == (6, 9, 3 if mode in ("RGB", "CMYK") else 1)


def test_jpeg_is_what_pillow_reads(tmp_path: Path):
    path = save(tmp_path / "a.jpg", np.tile(RGB, (5, 5, 1)), quality=80)
    with Image.open(path) as image:
        assert np.array_equal(read_photo(path).pixels, np.asarray(image))


def test_pictures_in_memory():
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    assert np.array_equal(read_photo(file.getvalue()).pixels, RGB)
    with pytest.raises(InputError, match="the picture is not a picture"):
        read_photo(b"hello")


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name, sentence in (("pipe.png", "is no file but a pipe"), ("loop.png", "cannot be read: Too many levels")):
        with pytest.raises(InputError, match=sentence):
            read_photo(tmp_path / name)
    with pytest.raises(InputError, match="no such name"):
        read_photo(Path("a\0b.png"))


def test_raw_files_of_cameras_are_not_their_thumbnails(tmp_path: Path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\1\4\0\0"  # DNGVersion
    save(tmp_path / "a.dng", RGB, format="TIFF", tiffinfo=tags)
    with pytest.raises(InputError, match=r"a\.dng is a camera's raw file; develop it to a TIFF first"):
        read_photo(tmp_path / "a.dng")


def test_a_tag_with_more_values_than_it_has_is_a_sentence():
    file = io.BytesIO()
    Image.fromarray(np.tile(RGB, (3, 3, 1))).save(file, "TIFF")
    content = file.getvalue()
    entry = struct.pack("<HHI", 262, 3, 1)  # PhotometricInterpretation
    assert entry in content
    with pytest.raises(InputError, match="the picture is damaged"):
        read_photo(content.replace(entry, struct.pack("<HHI", 262, 3, 257)))


@settings(max_examples=150)
@given(kind=st.sampled_from(["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"]), data=st.data())
def test_damage_of_any_kind_is_a_sentence_or_a_picture(kind: str, data: st.DataObject):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[271], exif[274] = "camera", 6
    image = Image.fromarray(np.tile(RGB, (3, 3, 1)))
    options = {"exif": exif, "icc_profile": profiles.rgb()} if kind not in ("GIF", "BMP") else {}
    image.save(file, kind, **options)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content
    try:
        assert read_photo(bytes(content)).pixels.dtype == np.uint8
    except InputError as error:
        assert error.message.startswith("the picture ")  # noqa: PT017


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


def test_folders_in_folders_are_walked_but_links_to_folders_are_not(tmp_path: Path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "round").symlink_to(tmp_path)
    for name in ("z.png", "b/a.jpg", "b/c/x.tif", ".hidden.png"):
        save(tmp_path / name, RGB)
    assert [path.name for path in picture_files(tmp_path)] == ["z.png"]
    assert [str(path.relative_to(tmp_path)) for path in picture_files(tmp_path, recursive=True)] == [
        "z.png",
        "b/a.jpg",
        "b/c/x.tif",
    ]
