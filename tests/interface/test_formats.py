"""Every format of pixels into every other gives what `clipfree run` makes of the same, byte for byte."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.interface.formats import ALL, Kind, Upscale, empty, laid_out, made, network_scale, picture, random_planes
from tests.interface.guarded import guarded
from tests.interface.library import (
    BGRA,
    I010,
    I420,
    NV12,
    NV21,
    P010,
    RGB,
    RGBA,
    InterfaceError,
    Network,
    Picture,
    opened,
    random_picture,
)
from tests.sr_models import espcn
from tests.test_attention import deployed
from tests.test_fractions import half_again
from toolchain.backends.open import load as load_bundle
from toolchain.bundle import Bundle, open_bundle
from toolchain.video.colours import MATRICES
from toolchain.video.frames import SITES

SIZES = ((1, 1), (2, 3), (5, 4), (17, 34), (33, 19))
SPACES = tuple(itertools.product(MATRICES, (False, True), SITES))


@pytest.fixture(scope="module")
def luma(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    return open_bundle(deployed(espcn(channels=1), photo_folder, tmp_path_factory.mktemp("luma")))


@pytest.fixture(scope="module")
def fraction(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    return open_bundle(deployed(half_again(), photo_folder, tmp_path_factory.mktemp("fraction")))


@pytest.fixture(params=["bundle", "luma", "fraction", "layers"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Network, Upscale]]:
    found: Bundle = request.getfixturevalue(request.param)
    with opened(found.path / "model.so", threads=2) as network:
        yield network, load_bundle(found).upscale


def check(network: Network, upscale: Upscale, kinds: tuple[Kind, Kind], size: tuple[int, int], seed: int) -> None:
    (before, after), scale = kinds, network_scale(network)
    planes = random_planes(before, *size, seed)
    result = empty(after, size, scale)
    network.call(picture(laid_out(planes, before), before), picture(result, after))
    expected = made(planes, before, after, upscale, network.info.channels, scale)
    for place, (one, other) in enumerate(zip(result, laid_out(expected, after), strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"plane {place} of {before} to {after}, {size}")


@pytest.mark.parametrize("before", ALL)
def test_each_into_each(before: int, pair: tuple[Network, Upscale]):
    for seed, after in enumerate(ALL):
        spaces = [SPACES[(7 * seed + 5 * before + part) % len(SPACES)] for part in (0, seed % 3)]
        kinds = Kind(before, *spaces[0]), Kind(after, *spaces[1])
        check(*pair, kinds, SIZES[(seed + before) % len(SIZES)], seed)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_planes_of_every_space(space: tuple[str, bool, str], pair: tuple[Network, Upscale]):
    for seed, (kind, size) in enumerate(zip((NV12, NV12 + 3, *ALL[-2:]), SIZES[1:], strict=False)):
        check(*pair, (Kind(kind, *space), Kind(kind, *space)), size, seed)


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("before", ALL)
def test_nothing_beside_the_planes_is_touched(before: int, above: bool, pair: tuple[Network, Upscale]):
    network, upscale = pair
    scale = network_scale(network)
    for seed, after in enumerate(ALL):
        kinds, size = (Kind(before), Kind(after)), SIZES[(seed + before) % len(SIZES)]
        planes = random_planes(kinds[0], *size, seed)
        given = [guarded(plane, above=above) for plane in laid_out(planes, kinds[0])]
        result = [guarded(plane, above=above) for plane in empty(kinds[1], size, scale)]
        network.call(picture(given, kinds[0]), picture(result, kinds[1]))
        expected = made(planes, *kinds, upscale, network.info.channels, scale)
        for one, other in zip(result, laid_out(expected, kinds[1]), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [I420, NV21, P010, BGRA])
def test_rows_apart_and_upside_down(kind: int, pair: tuple[Network, Upscale]):
    """What lies between rows is left alone."""
    network, upscale = pair
    form, scale, size = Kind(kind), network_scale(network), (9, 13)
    planes = random_planes(form, *size)
    expected = laid_out(made(planes, form, form, upscale, network.info.channels, scale), form)
    wide = [np.pad(plane, ((0, 0), (3, 5), *[(0, 0)] * (plane.ndim - 2))) for plane in laid_out(planes, form)]
    around = [np.full((len(plane), plane.shape[1] + 7, *plane.shape[2:]), 77, plane.dtype) for plane in expected]
    given = [np.ascontiguousarray(plane[::-1])[::-1][:, 3:-5] for plane in wide]
    network.call(picture(given, form), picture([plane[::-1, 3:-4] for plane in around], form))
    for one, other in zip(around, expected, strict=True):
        np.testing.assert_array_equal(one[::-1, 3:-4], other)
        assert (one[:, :3] == 77).all()
        assert (one[:, -4:] == 77).all()


def changed(given: Picture, plane: int, **values: int) -> Picture:
    for name, value in values.items():
        if name in ("planes", "strides"):
            getattr(given, name)[plane] = value
        else:
            setattr(given, name, value)
    return given


@pytest.mark.parametrize(
    ("form", "plane", "values", "status"),
    [
        (NV12, 1, {"planes": 0}, "NULL"),
        (I420, 2, {"planes": 0}, "NULL"),
        (RGBA, 0, {"strides": 4 * 9 - 1}, "WRONG_STRIDE"),
        (NV12, 1, {"strides": 9}, "WRONG_STRIDE"),  # of 9 pixels chroma has 5, which are 10 bytes
        (I420, 1, {"strides": 4}, "WRONG_STRIDE"),
        (P010, 0, {"strides": 17}, "WRONG_STRIDE"),
        (P010, 0, {"strides": 19}, "WRONG_STRIDE"),  # words at odd addresses
        (I010, 2, {"strides": -(2**62)}, "WRONG_STRIDE"),
        (NV12, 0, {"matrix": 4}, "WRONG_FORMAT"),
        (NV12, 0, {"matrix": -1}, "WRONG_FORMAT"),
        (NV12, 0, {"range": 3}, "WRONG_FORMAT"),
        (RGB, 0, {"site": 4}, "WRONG_FORMAT"),
        (RGB, 0, {"format": 12}, "WRONG_FORMAT"),
        (NV12, 0, {"unused": 1}, "WRONG_ABI"),
        (NV12, 0, {"height": 6}, "WRONG_SIZE"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_pictures_that_are_none(
    form: int, plane: int, values: dict[str, int], status: str, which: int, network: Network
):
    kind = Kind(form)
    arrays = [laid_out(random_planes(kind, 7, 9), kind), empty(kind, (7, 9), network.info.scale_num)]
    if which and "strides" in values:
        values = {"strides": min(values["strides"], 13)}  # too few for what is larger, and odd
    pictures = [picture(one, kind) for one in arrays]
    before = [array.copy() for array in arrays[1]]
    changed(pictures[which], plane, **values)
    with pytest.raises(InterfaceError, match=status):
        network.call(*pictures)
    for one, other in zip(arrays[1], before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_programs_made_with_an_older_header(network: Network):
    """Their pictures end before the colours."""
    pixels = random_picture((6, 7, 3))
    expected = network.upscale(pixels)
    source, result = (picture([one], Kind(RGB)) for one in (pixels, np.zeros_like(expected)))
    for one in (source, result):
        one.size, one.matrix = Picture.matrix.offset, -7
    network.call(source, result)
    np.testing.assert_array_equal(result.pixels[0], expected)


def test_a_result_is_of_its_source_s_colours(network: Network):
    kind = Kind(NV12, "bt2020", True, "topleft")
    planes = laid_out(random_planes(kind, 6, 9), kind)
    said, left_open = (empty(kind, (6, 9), network.info.scale_num) for _ in range(2))
    network.call(picture(planes, kind), picture(said, kind))
    result = picture(left_open, kind)
    result.matrix = result.range = result.site = 0
    network.call(picture(planes, kind), result)
    for one, other in zip(said, left_open, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pictures_that_do_not_say(network: Network):
    """BT.601 and limited range for small ones, chroma at the left."""
    planes = laid_out(random_planes(Kind(NV12), 6, 9), Kind(NV12))
    source = picture(planes, Kind(NV12))
    result, expected = (empty(Kind(RGB), (6, 9), network.info.scale_num) for _ in range(2))
    network.call(source, picture(expected, Kind(RGB)))
    source.matrix = source.range = source.site = 0
    network.call(source, picture(result, Kind(RGB)))
    np.testing.assert_array_equal(result[0], expected[0])
