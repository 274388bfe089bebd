"""Pictures are written as they are: samples of 8 and 16 bits, transparency, several frames, wholly or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from toolchain.images import (
    Photo,
    PictureHeader,
    deflate,
    format_of,
    header_for,
    open_picture,
    read_photo,
    write_frames,
    write_photo,
)
from toolchain.images.samples import join_16_bit, split_16_bit
from toolchain.support.errors import InputError, OutputError

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (8, 6, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (8, 6), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("deep", [False, True])
def test_lossless_formats_give_back_every_sample(tmp_path: Path, suffix: str, channels: int, deep: bool):
    samples = RNG.integers(0, 65536 if deep else 256, (70, 31, channels)).astype(np.uint16)
    planes, remainder = split_16_bit(samples) if deep else (samples.astype(np.uint8), None)
    colours = 1 if channels < 3 else 3
    alpha = planes[:, :, -1] if channels in (2, 4) else None
    write_photo(tmp_path / f"a.{suffix}", Photo(planes[:, :, :colours], alpha, remainder))
    back = read_photo(tmp_path / f"a.{suffix}")
    found = back.planes if back.remainder is None else join_16_bit(back.planes, back.remainder)
    assert np.array_equal(found, samples)
    if suffix == "tiff":
        assert np.array_equal(tifffile.imread(tmp_path / "a.tiff").reshape(samples.shape), samples)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (3, 1, 4), (1, 9, 3), (700, 1100, 3)])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("by_isal", [True, False])
def test_png_gives_back_every_sample_whatever_packs_it(
    tmp_path: Path, shape: tuple[int, ...], deep: bool, by_isal: bool, monkeypatch: pytest.MonkeyPatch
):
    if by_isal:
        pytest.importorskip("isal")
    else:
        monkeypatch.setattr(deflate, "isal_zlib", None)
    samples = RNG.integers(0, 65536 if deep else 256, shape).astype(np.uint16)
    samples[: shape[0] // 2] //= 64  # something to pack
    planes, remainder = split_16_bit(samples) if deep else (samples.astype(np.uint8), None)
    alpha = planes[:, :, -1] if shape[2] == 4 else None
    write_photo(tmp_path / "a.png", Photo(planes[:, :, :3], alpha, remainder))
    back = read_photo(tmp_path / "a.png")
    found = back.planes if back.remainder is None else join_16_bit(back.planes, back.remainder)
    assert np.array_equal(found, samples)
    if not deep:
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")).reshape(samples.shape), samples)


def test_png_is_packed_by_isal_where_it_is_there():
    isal_zlib = pytest.importorskip("isal.isal_zlib")
    assert isinstance(deflate.deflater(), type(isal_zlib.compressobj()))


def test_jpeg_holds_no_transparency(tmp_path: Path):
    write_photo(tmp_path / "a.jpg", Photo(RGB, np.full((8, 6), 255, np.uint8)))
    with pytest.raises(InputError, match=r"b\.jpg is transparent, which \.jpg cannot hold; write a \.png"):
        write_photo(tmp_path / "b.jpg", Photo(RGB, ALPHA))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("name", ["big", "big.onnx", "big.txt", "big.ico", "big.pdf"])
def test_a_name_that_is_no_picture(name: str):
    with pytest.raises(InputError, match="does not end as a picture does"):
        format_of(Path(name))


@pytest.mark.parametrize(("suffix", "width"), [("gif", 22_000), ("webp", 5_500), ("jpg", 22_000)])
def test_what_a_format_cannot_hold_is_refused_before_the_work(tmp_path: Path, suffix: str, width: int):
    Image.new("L", (width, 1)).save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match=rf"becomes {3 * width} x 3 pixels, \.{suffix} holds \d+ a side at most"):
        header_for(picture, 3, format_of(Path(f"x.{suffix}")))
    assert header_for(picture, 3, format_of(Path("x.png")))[0].width == 3 * width


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    target = {"png": "toolchain.images.writing.png_parts", "webp": "PIL.Image.Image.save"}.get(suffix, "os.write")
    monkeypatch.setattr(target, full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_photo(tmp_path / f"a.{suffix}", Photo(RGB))
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_rows_that_break_off_are_not_a_picture(tmp_path: Path):
    class GoneError(Exception):
        pass

    def rows():
        yield Photo(RGB)
        raise GoneError

    for suffix in ("png", "jpg", "tiff", "webp"):
        with (tmp_path / f"a.{suffix}").open("w+b") as file, pytest.raises(GoneError):
            write_frames(file, format_of(Path(file.name)), PictureHeader(16, 6, 3), [rows()])


def animation(path: Path, **options: object) -> list[np.ndarray]:
    """Three frames in colours that no palette changes."""
    frames = []
    for index in range(3):
        pixels = np.zeros((8, 6, 3), np.uint8)
        pixels[index : index + 3, :, index] = 255
        frames.append(pixels)
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return frames


@pytest.mark.parametrize("source", ["gif", "png", "webp", "tiff"])
@pytest.mark.parametrize("target", ["gif", "png", "webp", "tiff"])
def test_all_frames_with_their_times(tmp_path: Path, source: str, target: str):
    timed = {} if source == "tiff" else {"duration": [100, 200, 300], "loop": 0}
    frames = animation(tmp_path / f"a.{source}", **timed, **({"lossless": True} if source == "webp" else {}))
    picture = open_picture(tmp_path / f"a.{source}")
    assert picture.frames == 3
    assert picture.durations == ((0, 0, 0) if source == "tiff" else (100, 200, 300))
    kind = format_of(Path(f"b.{target}"))
    header, _ = header_for(picture, 1, kind)
    with (tmp_path / f"b.{target}").open("w+b") as file:
        rows = ((header.fit(photo) for photo in picture.rows(index, 3)) for index in range(3))
        write_frames(file, kind, header, rows, quality=100)
    with Image.open(tmp_path / f"b.{target}") as image:
        found, durations = [], []
        for frame in ImageSequence.Iterator(image):
            found.append(np.asarray(frame.convert("RGB")).astype(int))
            durations.append(frame.info.get("duration", 0))
        assert len(found) == 3
        for one, expected in zip(found, frames, strict=True):
            assert abs(one - expected).mean() < (30 if target == "webp" else 0.01)
        if "tiff" not in (source, target):
            assert durations == [100, 200, 300]
            assert image.info["loop"] == 0


def test_repetitions_of_gif_are_plays_of_others(tmp_path: Path):
    for loop, plays in ((None, 1), (0, 0), (4, 5)):
        animation(tmp_path / "a.gif", duration=100, **({} if loop is None else {"loop": loop}))
        assert open_picture(tmp_path / "a.gif").plays == plays


def test_one_frame_where_a_format_holds_no_more_is_said(tmp_path: Path):
    animation(tmp_path / "a.gif", duration=100)
    header, notes = header_for(open_picture(tmp_path / "a.gif"), 2, format_of(Path("x.jpg")))
    assert len(header.durations) == 1
    assert notes == ("the first of its 3 frames is taken, .jpg holds no more",)


def test_16_bits_where_a_format_holds_8_are_said(tmp_path: Path):
    write_photo(tmp_path / "a.png", Photo(RGB, None, np.ones((8, 6, 3), np.int16)))
    for name, deep in (("x.png", True), ("x.tif", True), ("x.jpg", False), ("x.webp", False)):
        header, notes = header_for(open_picture(tmp_path / "a.png"), 2, format_of(Path(name)))
        assert header.deep == deep
        assert notes == (() if deep else (f"its 16 bits a sample become 8, {Path(name).suffix} holds no more",))


def test_pages_of_another_size_are_left_out_and_said(tmp_path: Path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for pixels in (RGB, RGB[:4], RGB):
            file.write(pixels, photometric="rgb", metadata=None)
    picture = open_picture(tmp_path / "a.tif")
    assert picture.frames == 2
    assert picture.notes == ("1 of its 3 pages, unlike the first, are left out",)
