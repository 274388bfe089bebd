"""Colours stay what they were: profiles are kept with their pixels, or the pixels become sRGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.images import profiles
from toolchain.images import Metadata, Photo, PictureFile, open_picture, read_photo, write_photo

RNG = np.random.default_rng(2)
RGB = np.asarray(Image.fromarray(RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((40, 32)))
CMYK = np.dstack([RGB, np.minimum(RGB[:, :, :1], 90)])


def converted(image: Image.Image, profile: bytes) -> np.ndarray:
    """By Little CMS: relative colorimetric, the black point compensated."""
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, source, target, 1, "RGB", flags=flags)).astype(int)


def opened(path: Path) -> tuple[PictureFile, np.ndarray]:
    return open_picture(path), read_photo(path).pixels


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("primaries", [profiles.ADOBE_RGB, profiles.DISPLAY_P3])
def test_rgb_stays_in_its_space_and_says_so(tmp_path: Path, suffix: str, primaries: tuple[tuple[float, ...], ...]):
    profile = profiles.rgb(primaries)
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(RGB).save(tmp_path / f"a.{suffix}", icc_profile=profile, **options)
    picture, pixels = opened(tmp_path / f"a.{suffix}")
    assert picture.metadata.icc_profile == profile
    assert picture.notes == ()
    if suffix != "jpg":
        assert np.array_equal(pixels, RGB)
    write_photo(tmp_path / f"b.{suffix}", read_photo(tmp_path / f"a.{suffix}"))
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.info["icc_profile"] == profile


def test_grey_stays_in_its_space(tmp_path: Path):
    Image.fromarray(RGB[:, :, 0]).save(tmp_path / "a.png", icc_profile=profiles.grey())
    picture, pixels = opened(tmp_path / "a.png")
    assert picture.metadata.icc_profile == profiles.grey()
    assert np.array_equal(pixels[:, :, 0], RGB[:, :, 0])


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_srgb_by_its_profile(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(CMYK, "CMYK").save(path, icc_profile=profiles.cmyk(), quality=100)
    picture, pixels = opened(path)
    with Image.open(path) as image:
        assert abs(pixels.astype(int) - converted(image, profiles.cmyk())).max() <= 1
    assert picture.channels == 3
    assert picture.notes == ("CMYK became sRGB",)
    assert picture.metadata.icc_profile is not None
    assert picture.metadata.icc_profile[16:20] == b"RGB "


def test_cmyk_without_a_profile_is_said(tmp_path: Path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    picture, pixels = opened(tmp_path / "a.jpg")
    assert picture.notes == ("CMYK became sRGB, by a usual CMYK profile",)
    red, green, blue = pixels[4, 4]
    assert red > 200 > 80 > max(green, blue)


def test_lab_becomes_srgb(tmp_path: Path):
    profile = ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(Image.fromarray(RGB), ImageCms.createProfile("sRGB"), profile, 1, "LAB")
    lab.save(tmp_path / "a.tif", icc_profile=ImageCms.ImageCmsProfile(profile).tobytes())
    picture, pixels = opened(tmp_path / "a.tif")
    difference = abs(pixels.astype(int) - RGB)
    assert np.percentile(difference, 95) <= 8  # Lab of 8 bits is coarse
    assert difference.mean() < 2
    assert picture.notes == ("Lab became sRGB",)


@pytest.mark.parametrize("profile", [b"profile", profiles.rgb()[:-60], profiles.grey(), bytes(200), profiles.cmyk()])
def test_a_profile_of_something_else_is_left_out_and_said(tmp_path: Path, profile: bytes):
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=profile)
    picture, pixels = opened(tmp_path / "a.png")
    assert picture.metadata.icc_profile is None
    assert picture.notes in (("its colour profile cannot be used and is left out",), ())
    assert np.array_equal(pixels, RGB)


@pytest.mark.parametrize("suffix", ["gif", "bmp", "ppm"])
def test_formats_that_name_no_space_get_srgb(tmp_path: Path, suffix: str):
    profile = profiles.rgb()
    write_photo(tmp_path / f"a.{suffix}", Photo(RGB, metadata=Metadata(icc_profile=profile)))
    with Image.open(tmp_path / f"a.{suffix}") as image:
        found = np.asarray(image.convert("RGB")).astype(int)
    expected = converted(Image.fromarray(RGB), profile)
    assert abs(found - expected).mean() < (1 if suffix != "gif" else 12)
    assert abs(found - expected).mean() < abs(found - RGB).mean()
