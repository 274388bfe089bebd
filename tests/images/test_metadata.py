"""What a picture's file says of it is kept, but for what is no longer true of the enlarged one."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolchain.images import Metadata, Photo, open_picture, write_photo
from toolchain.images.metadata import described, orientation_of

RGB = np.random.default_rng(5).integers(0, 256, (6, 9, 3), dtype=np.uint8)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" tiff:Orientation="6" dc:title="Kv\xc3\xa6fjord"><exif:PixelXDimension>9'
    b"</exif:PixelXDimension></rdf:Description></rdf:RDF></x:xmpmeta>"
)
MAKER, CAMERA, WHEN, LENS = (
    b"Nikon\0\x02\x10\0\0secret",
    "Testcamera",
    "2026:11:30 01:02:03",
    "50mm f/1.8",
)


def block() -> bytes:
    """EXIF as a camera writes it: its own notes, a place, a thumbnail."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x9003] = CAMERA, 6, WHEN
    inner = exif.get_ifd(0x8769)
    inner.update({0x9003: WHEN, 0x829A: 0.004, 0xA002: 9, 0xA003: 6, 0xA434: LENS, 0x927C: MAKER})
    exif.get_ifd(0x8825).update({1: "N", 2: (68.0, 51.0, 3.5)})
    data = bytearray(exif.tobytes()[6:])
    order = "<" if data[:2] == b"II" else ">"
    first = struct.unpack_from(order + "I", data, 4)[0]
    follow = first + 2 + 12 * struct.unpack_from(order + "H", data, first)[0]
    thumbnail = b"\xff\xd8a thumbnail\xff\xd9"
    place = len(data)
    struct.pack_into(order + "I", data, follow, place)
    data += struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, place + 30, 0x0202, 4, 1, len(thumbnail), 0)
    return bytes(data + thumbnail)


def read_back(path: Path) -> tuple[Image.Exif, dict[str, object]]:
    with Image.open(path) as image:
        image.load()
        return image.getexif(), dict(image.info)


@pytest.mark.parametrize("source", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("target", ["png", "jpg", "tiff", "webp"])
def test_everything_is_kept_between_all_formats(tmp_path: Path, source: str, target: str):
    original = tmp_path / f"a.{source}"
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block())
    options = {} if source == "tif" else {"xmp": XMP} if source in ("jpg", "webp") else {}
    Image.fromarray(RGB).save(original, exif=exif, dpi=(300, 300), **options)
    picture = open_picture(original)
    assert (picture.height, picture.width) == (9, 6)
    metadata = described(picture.metadata, width=18, height=27)
    if not options:
        metadata = described(Metadata(None, metadata.exif, XMP, (300.0, 300.0)), width=18, height=27)
    write_photo(tmp_path / f"b.{target}", Photo(np.zeros((27, 18, 3), np.uint8), metadata=metadata))
    found, info = read_back(tmp_path / f"b.{target}")
    assert found[0x010F] == CAMERA
    assert found.get(0x0112, 1) == 1
    inner = found.get_ifd(0x8769)
    assert (inner[0x9003], inner[0xA434], inner[0x927C]) == (WHEN, LENS, MAKER)
    assert (inner[0xA002], inner[0xA003]) == (18, 27)
    assert float(inner[0x829A]) == pytest.approx(0.004)
    assert [float(value) for value in found.get_ifd(0x8825)[2]] == [68.0, 51.0, 3.5]
    packet = info["xmp"]
    assert isinstance(packet, bytes)
    assert b'tiff:Orientation="1"' in packet
    assert b"<exif:PixelXDimension>18<" in packet
    assert "Kvæfjord".encode() in packet
    if "webp" not in (source, target):  # which has no place for it but EXIF
        assert info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_the_thumbnail_of_the_old_picture_is_dropped():
    old = block()
    assert b"a thumbnail" in old
    metadata = described(Metadata(exif=old), width=18, height=27)
    assert metadata.exif is not None
    assert b"a thumbnail" not in metadata.exif
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + metadata.exif)
    assert not exif.get_ifd(1)
    assert metadata.exif[: len(metadata.exif) - 40].count(MAKER) == 1


def test_a_marked_colour_space_follows_a_conversion():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    found = described(Metadata(exif=exif.tobytes()[6:]), width=1, height=1, srgb=True)
    again = Image.Exif()
    again.load(b"Exif\0\0" + (found.exif or b""))
    assert again.get_ifd(0x8769)[0xA001] == 1


@given(st.binary(max_size=120) | st.binary(max_size=120).map(lambda data: b"II*\0\x08\0\0\0" + data))
def test_a_damaged_block_is_left_out(data: bytes):
    assert 1 <= orientation_of(data) <= 8
    found = described(Metadata(exif=data), width=3, height=4).exif
    assert found is None or len(found) <= len(data)


@given(st.data())
def test_a_block_with_damage_is_changed_or_left_out(data: st.DataObject):
    content = bytearray(block())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = described(Metadata(exif=bytes(content)), width=3, height=4)
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    assert found.exif is None or orientation_of(found.exif) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)
    picture = open_picture(path)
    write_photo(
        tmp_path / f"b.{suffix}",
        Photo(
            np.concatenate([photo.pixels for photo in picture.rows(0, 2)]),
            metadata=described(picture.metadata, width=picture.width, height=picture.height),
        ),
    )
    again = open_picture(tmp_path / f"b.{suffix}")
    assert (again.height, again.width) == (picture.height, picture.width) == ((9, 6) if orientation > 4 else (6, 9))
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.getexif().get(0x0112, 1) == 1


def test_tiff_with_exif_is_read_by_others(tmp_path: Path):
    metadata = described(Metadata(exif=block()), width=9, height=6)
    write_photo(tmp_path / "a.tiff", Photo(RGB, metadata=metadata))
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        page = file.pages[0]
        assert np.array_equal(page.asarray(), RGB)
        assert page.tags["ExifTag"].value["LensModel"] == LENS
        assert [tag.code for tag in page.tags] == sorted(tag.code for tag in page.tags)
