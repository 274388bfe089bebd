"""Planes of a frame: what the network sees of them, and where chroma lies afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from toolchain.images import Photo
from toolchain.runtime.photo import upscale_photo
from toolchain.video.colours import ColourSpace
from toolchain.video.enlarge import Enlarger
from toolchain.video.frames import LAYOUTS, SITES, FrameFormat, Pixels

SPACE = ColourSpace("bt709", full=False)
LIMITS = {"yuv420p": (2, 2), "yuv422p": (2, 1), "yuv444p": (1, 1)}


def nearest(scale: int):
    return lambda pixels: pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def enlarged(planes: tuple[Pixels, ...], form: FrameFormat, channels: int, scale: int) -> tuple[Pixels, ...]:
    enlarger = Enlarger(form, channels, scale)
    return enlarger.after(enlarger.run(enlarger.before(planes), nearest(scale)))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 12)])
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("site", list(SITES))
def test_shapes_and_flat_planes(size: tuple[int, int], layout: str, channels: int, scale: int, site: str):
    form = FrameFormat(*size, LAYOUTS[layout], SPACE, site)
    planes = tuple(np.full(shape, 100 + 20 * place, np.uint8) for place, shape in enumerate(form.shapes))
    made = enlarged(planes, form, channels, scale)
    assert tuple(plane.shape for plane in made) == form.enlarged(scale).shapes
    for before, after in zip(planes, made, strict=True):
        assert np.abs(after.astype(int) - before.flat[0]).max() <= 1


def luma_positions(count: int, joined: int, site: float) -> np.ndarray:
    """Where samples of a plane lie, in luma samples of its frame."""
    return np.arange(count) * joined + (site if joined == 2 else 0.0)


@pytest.mark.parametrize("layout", list(LIMITS))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("site", list(SITES))
@pytest.mark.parametrize("axis", [0, 1])
def test_chroma_stays_where_it_lies_on_luma(layout: str, channels: int, scale: int, site: str, axis: int):
    """A slope over the picture is the same slope afterwards, whatever the grid of chroma."""
    form = FrameFormat(24, 24, LAYOUTS[layout], SPACE, site)
    joined, place = LIMITS[layout][1 - axis], SITES[site][1 - axis]

    def slope(shape: tuple[int, ...], scale: int) -> np.ndarray:
        values = 80 + 4 * ((luma_positions(shape[axis], joined, place) + 0.5) / scale - 0.5)
        return np.broadcast_to(values[:, None] if axis == 0 else values, shape)

    luma = np.full(form.shapes[0], 120, np.uint8)
    planes = [np.rint(slope(shape, 1)).astype(np.uint8) for shape in form.shapes[1:]]
    for made in enlarged((luma, *planes), form, channels, scale)[1:]:
        wrong = (made - slope(made.shape, scale))[8:-8, 8:-8]
        # A network that repeats pixels leaves steps, but moves nothing in the mean.
        assert abs(wrong.mean()) < 0.5
        assert np.abs(wrong).max() < (1.1 if channels == 1 else 5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["gray", "rgb24"])
def test_one_plane_is_a_picture(channels: int, layout: str):
    form = FrameFormat(6, 5, LAYOUTS[layout], SPACE)
    pixels = np.random.default_rng(0).integers(0, 256, form.shapes[0], dtype=np.uint8)
    photo = Photo(pixels.reshape(6, 5, -1))
    expected = upscale_photo(photo, nearest(2), channels=channels, scale=2).pixels
    (made,) = enlarged((pixels,), form, channels, 2)
    assert np.array_equal(made.reshape(expected.shape), expected)


def test_a_luma_network_sees_luma_as_it_is():
    form = FrameFormat(4, 6, LAYOUTS["yuv420p"], SPACE)
    planes = tuple(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8) for shape in form.shapes)
    assert np.array_equal(enlarged(planes, form, 1, 2)[0], nearest(2)(planes[0]))


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "gray"])
@pytest.mark.parametrize("channels", [1, 3])
def test_ten_bits_stay(layout: str, channels: int):
    """What lies between two codes of 8 bits is there afterwards, and the whole range is."""
    form = FrameFormat(16, 48, LAYOUTS[layout], SPACE, bits=10)
    slope = np.broadcast_to(400 + np.arange(48, dtype=np.uint16), (16, 48))
    planes = (slope, *(np.full(shape, 512, np.uint16) for shape in form.shapes[1:]))
    made = enlarged(planes, form, channels, 2)
    exact = np.arange(96) / 2 - 0.25 + 400
    assert np.abs(made[0][:, 8:-8] - exact[8:-8]).max() < 4, "a network that repeats pixels leaves steps of two codes"
    assert len(np.unique(made[0])) > 40, "8 bits have 12"
    assert all(np.abs(plane.astype(int) - 512).max() <= 1 for plane in made[1:])
    for value in (0, 64, 940, 1023):
        flat = tuple(np.full(shape, value if not place else 512, np.uint16) for place, shape in enumerate(form.shapes))
        assert np.abs(enlarged(flat, form, channels, 2)[0].astype(int) - value).max() <= (
            0 if channels == 1 or 64 <= value <= 940 else 1023
        )
    assert all(plane.dtype == np.uint16 for plane in made)


def test_a_luma_network_gets_the_upper_eight_bits():
    form = FrameFormat(4, 6, LAYOUTS["gray"], SPACE, bits=10)
    given = Enlarger(form, 1, 2).before((np.array([[0, 1, 2, 3, 1021, 1023]], np.uint16).repeat(4, 0),))
    assert given.pixels[0, :, 0].tolist() == [0, 0, 1, 1, 255, 255]
    assert given.remainder is not None
    assert given.remainder.shape == (8, 12, 1)
