"""A region's result is what the whole's result has there, whatever the pixels."""

from __future__ import annotations

import ctypes
from ctypes import byref
from pathlib import Path

import numpy as np
import pytest

from tests.interface.formats import ALL, LUMA, Kind, empty, laid_out, network_scale, picture, random_planes
from tests.interface.guarded import guarded
from tests.interface.library import NV12, PLANAR, RGB, STATUS, Network, Region, opened
from tests.sr_models import esa, espcn, xlsr
from tests.test_attention import deployed
from tests.test_fractions import half_again
from toolchain.bundle import Bundle, open_bundle
from toolchain.images.scale import enlarged

REGIONS = (
    (0, 0, 1, 1),
    (0, 0, 40, 57),
    (13, 0, 7, 57),
    (20, 31, 9, 12),
    (39, 56, 1, 1),
    (2, 50, 38, 7),
    (14, 8, 2, 30),
)
SIZE = (40, 57)


@pytest.fixture(scope="module")
def bundles(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, bundle: Bundle, layers: Bundle
) -> list[Bundle]:
    """Networks that stream, of luma, by a fraction, with a smallest picture, and that look at all of a picture."""
    makes = (espcn(channels=1), half_again(), xlsr(), esa())
    folders = (tmp_path_factory.mktemp("net") for _ in makes)
    made = [open_bundle(deployed(one, photo_folder, next(folders))) for one in makes]
    return [bundle, layers, *made]


def upscale(
    network: Network, given: list[np.ndarray], kinds: tuple[Kind, Kind], region: tuple[int, ...] | None
) -> list[np.ndarray]:
    """Planes of the result, as they lie in memory."""
    top, left, height, width = region or (0, 0, *given[0].shape[:2])
    scale = network_scale(network)
    ends = [enlarged(side, scale) for side in (top, left, top + height, left + width)]
    size = (ends[2] - ends[0], ends[3] - ends[1])
    result = empty(kinds[1], size, 1)
    wanted = byref(Region(ctypes.sizeof(Region), *region)) if region else None
    status = network.library.clipfree_upscale_region(
        network.handle, byref(picture(given, kinds[0])), wanted, byref(picture(result, kinds[1]))
    )
    assert status == 0, network.library.clipfree_error(network.handle)
    return result


def beyond(place: int, network: Network) -> int:
    return enlarged(place, network_scale(network))


@pytest.mark.parametrize("which", range(6), ids=["streams", "layers", "luma", "fraction", "xlsr", "esa"])
def test_regions_are_parts_of_the_whole(which: int, bundles: list[Bundle]):
    with opened(bundles[which].path / "model.so", threads=2) as network:
        for seed, after in enumerate((*ALL, *ALL)):
            kinds = Kind(ALL[(seed * 5 + which + (seed >= len(ALL))) % len(ALL)], "bt709", True, "topleft"), Kind(after)
            if seed % 4 == 0:
                kinds = Kind(after, "bt601", False, "center"), Kind(after, "bt601", False, "center")
            given = laid_out(random_planes(kinds[0], *SIZE, seed), kinds[0])
            whole = upscale(network, given, kinds, None)
            for region in REGIONS:
                top, left = beyond(region[0], network), beyond(region[1], network)
                bottom, right = beyond(region[0] + region[2], network), beyond(region[1] + region[3], network)
                if after in LUMA and (top % 2 or left % 2):
                    continue
                for place, (one, all_of_it) in enumerate(
                    zip(upscale(network, given, kinds, region), whole, strict=True)
                ):
                    part = all_of_it[top:bottom, left:right]
                    if after in LUMA and place:
                        part = all_of_it[top // 2 : -(-bottom // 2), left // 2 : -(-right // 2)]
                    np.testing.assert_array_equal(one, part, err_msg=f"plane {place} of {region}, {kinds}")


@pytest.mark.parametrize(
    ("region", "status"),
    [
        ((0, 0, 0, 5), "WRONG_SIZE"),
        ((0, 0, 5, 0), "WRONG_SIZE"),
        ((4, 0, 5, 5), "WRONG_SIZE"),
        ((0, 2**32 - 1, 5, 5), "WRONG_SIZE"),
        ((2**32 - 4, 0, 5, 5), "WRONG_SIZE"),
        ((0, 0, 2**32 - 1, 2**32 - 1), "WRONG_SIZE"),
        ((0, 0, 5, 4), "WRONG_SIZE"),  # the result has another size
    ],
)
def test_regions_that_are_none(region: tuple[int, ...], status: str, network: Network):
    kind = Kind(RGB)
    source, result = (laid_out(random_planes(kind, side, side), kind) for side in (8, 5 * network.info.scale_num))
    wanted = Region(ctypes.sizeof(Region), *region)
    pictures = byref(picture(source, kind)), byref(picture(result, kind))
    before = result[0].copy()
    call = network.library.clipfree_upscale_region
    assert STATUS[call(network.handle, pictures[0], byref(wanted), pictures[1])] == status
    np.testing.assert_array_equal(result[0], before)
    wanted.size = 4
    assert STATUS[call(network.handle, pictures[0], byref(wanted), pictures[1])] == "WRONG_ABI"


def test_a_region_amid_pixels_that_share_a_chroma(bundles: list[Bundle]):
    kind = Kind(NV12)
    with opened(bundles[4].path / "model.so") as network:  # three times as large
        source, result = (laid_out(random_planes(kind, side, side), kind) for side in (8, 12))
        for top, status in ((1, "WRONG_SIZE"), (2, "OK")):
            wanted = Region(ctypes.sizeof(Region), top, 0, 4, 4)
            pictures = byref(picture(source, kind)), byref(picture(result, kind))
            found = network.library.clipfree_upscale_region(network.handle, pictures[0], byref(wanted), pictures[1])
            assert STATUS[found] == status


def test_what_lies_beyond_the_halo_is_not_read(network: Network):
    """Of a picture of 60 rows only the first 40 are there."""
    kind, scale = Kind(PLANAR), network.info.scale_num
    assert network.info.halo < 16
    planes = laid_out(random_planes(kind, 40, 30), kind)
    source = picture([guarded(plane) for plane in planes], kind)
    source.height = 60
    result = empty(kind, (10, 30), scale)
    wanted = Region(ctypes.sizeof(Region), 0, 0, 10, 30)
    call = network.library.clipfree_upscale_region
    assert call(network.handle, byref(source), byref(wanted), byref(picture(result, kind))) == 0
    whole = upscale(network, planes, (kind, kind), None)
    for one, all_of_it in zip(result, whole, strict=True):
        np.testing.assert_array_equal(one, all_of_it[: 10 * scale])
