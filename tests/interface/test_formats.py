"""Every format of pixels into every other gives what `clipfree run` makes of the same, byte for byte."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.interface.formats import ALL, Kind, empty, laid_out, made, picture, random_planes
from tests.interface.library import NV12, Network, opened
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
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Network, Bundle]]:
    found: Bundle = request.getfixturevalue(request.param)
    with opened(found.path / "model.so", threads=2) as network:
        yield network, found


def check(network: Network, bundle: Bundle, kinds: tuple[Kind, Kind], size: tuple[int, int], seed: int) -> None:
    scale, (before, after) = Fraction(bundle.manifest.scale), kinds
    planes = random_planes(before, *size, seed)
    result = empty(after, size, scale)
    network.call(picture(laid_out(planes, before), before), picture(result, after))
    whole = scale.numerator if scale.denominator == 1 else scale
    expected = made(planes, before, after, load_bundle(bundle).upscale, bundle.manifest.channels, whole)
    for place, (one, other) in enumerate(zip(result, laid_out(expected, after), strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"plane {place} of {before} to {after}, {size}")


@pytest.mark.parametrize("before", ALL)
def test_each_into_each(before: int, pair: tuple[Network, Bundle]):
    for seed, after in enumerate(ALL):
        spaces = [SPACES[(7 * seed + 5 * before + part) % len(SPACES)] for part in (0, seed % 3)]
        kinds = Kind(before, *spaces[0]), Kind(after, *spaces[1])
        check(*pair, kinds, SIZES[(seed + before) % len(SIZES)], seed)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_planes_of_every_space(space: tuple[str, bool, str], pair: tuple[Network, Bundle]):
    for seed, (kind, size) in enumerate(zip((NV12, NV12 + 3, *ALL[-2:]), SIZES[1:], strict=False)):
        check(*pair, (Kind(kind, *space), Kind(kind, *space)), size, seed)
