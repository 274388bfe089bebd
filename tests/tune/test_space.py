"""The space of tiles: all of them can be built, no two are the same, and each gives the reference's bits."""

from __future__ import annotations

import dataclasses

import pytest

from tests.instruction_sets import AVX2, SSE4, TARGETS
from tests.kernels.harness import Case, check, geometry, spec
from tests.kernels.test_conv import dcr
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import WINOGRAD, Tile, default_tile
from toolchain.support.cpu import this_cpu
from toolchain.targets import Target
from toolchain.tune.search_space import tiles

SPECS = {
    "3x3": Case(8, 8, height=3),
    "1x1": Case(12, 8, 1, height=3),
    "groups": Case(8, 8, groups=2, height=2, residual=(8, 1, 8), zero_out=60),
    "pixels": Case(8, 12, height=2, pixels=dcr(2, 3)),
    "Winograd": Case(8, 8, height=6, tile=Tile(2, 4, algorithm=WINOGRAD)),
}


def space(conv: Conv, target: Target) -> tuple[Tile, ...]:
    dot = dot_product(target.instruction_set)
    return tiles(conv, dot.columns, dot)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("name", SPECS)
def test_the_default_comes_first_and_all_fit(name: str, target: Target):
    conv, dot = spec(SPECS[name]), dot_product(target.instruction_set)
    found = space(conv, target)
    assert found[0] == default_tile(conv, dot.columns, dot)
    assert len(set(found)) == len(found) > 2
    assert all(tile.fits(conv, dot.columns, dot) for tile in found)
    assert all(tile.vectors * tile.channels <= dot.registers for tile in found)


def test_winograd_is_tried_where_it_is_admitted_and_comes_first_where_it_pays():
    conv = spec(SPECS["Winograd"])
    for target in TARGETS:
        found, dot = [tile.algorithm for tile in space(conv, target)], dot_product(target.instruction_set)
        if dot.pairs is None:
            assert set(found) == {"direct"}
        elif dot.pairs.fewest > SPECS["Winograd"].inputs:
            assert found[0] == "direct"
            assert found.count(WINOGRAD) > 3
        else:
            assert found[0] == WINOGRAD
            assert found[1] == "direct"
            assert found.count(WINOGRAD) > 3
    assert all(tile.algorithm == "direct" for tile in space(dataclasses.replace(conv, algorithms=()), AVX2))


def test_choices_that_make_no_difference_are_left_out():
    target = TARGETS[0]
    for tile in space(spec(Case(4, 4, 1)), target):  # a single block, tap and group of channels: there is no order
        assert (tile.outer, tile.reduce, tile.unroll) == ("columns", "taps", False)
    assert {tile.reduce for tile in space(spec(Case(8, 8, 1)), target)} == {"taps"}
    assert {tile.reduce for tile in space(spec(Case(8, 8)), target)} == {"taps", "blocks"}


@pytest.mark.skipif(bool(SSE4.missing_on(this_cpu())), reason="this CPU has no SSE4")
@pytest.mark.parametrize("name", SPECS)
def test_tiles_of_the_space_give_the_reference(name: str):
    case = SPECS[name]
    found = space(spec(case), SSE4)
    # The whole space of one kernel, a handful of the others': building takes its time.
    for tile in found if name == "groups" else found[2 :: max(1, len(found) // 3)]:
        check(dataclasses.replace(case, width=geometry(case, SSE4).columns + 3, tile=tile), SSE4)


@pytest.mark.parametrize(("vectors", "channels"), [(0, 4), (-1, 4), (3, 4), (1, 0), (1, -4), (1, 6), (1, 32)])
def test_tiles_that_do_not_fit(vectors: int, channels: int):
    dot = dot_product("sse4")
    assert not Tile(vectors, channels).fits(spec(Case(8, 16)), dot.columns, dot)
