"""Products of bytes added two by two in 16 bits give the bits of the definition, where weights cannot exceed those."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.instruction_sets import AVX2, SSE4, param
from tests.kernels.harness import Case, Data, check, check_data, make_data, parameters, spec
from tests.kernels.test_conv import CASES
from toolchain.kernels import algorithms
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.tile import BYTES, Tile, default_tile, direct_tile
from toolchain.targets import Target

TILE = Tile(2, 4, algorithm=BYTES)
WHERE = pytest.mark.parametrize("target", [param(AVX2), param(SSE4)])


@WHERE
@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name: str, target: Target):
    check(dataclasses.replace(CASES[name], tile=TILE), target)


@WHERE
@pytest.mark.parametrize(
    "tile", [Tile(1, 8, "channels"), Tile(3, 4, reduce="blocks"), Tile(1, 4, unroll=True)], ids=str
)
def test_any_tile_gives_the_same(target: Target, tile: Tile):
    lanes = dot_product(target.instruction_set).lanes
    tile = dataclasses.replace(tile, algorithm=BYTES)
    check(Case(8, 16, 1, residual=(16, 1, 16), zero_out=60, columns=6 * lanes, width=7 * lanes + 3, tile=tile), target)


def holding(pairs: list[tuple[int, int]], case: Case) -> Data:
    """Data whose weights are ``pairs`` again and again, every code being 255."""
    data = make_data(dataclasses.replace(case, fill=(255, 1)))
    weights = np.resize(np.array(pairs, np.int8).ravel(), data.weights.shape)
    return dataclasses.replace(data, weights=weights)


PAIRS = st.integers(-127, 127).flatmap(
    lambda a: st.tuples(st.just(a), st.integers(max(-127, -128 - a), min(127, 128 - a)))
)


@settings(max_examples=30, deadline=None)
@given(st.lists(PAIRS, min_size=1, max_size=8), st.sampled_from((AVX2, SSE4)))
def test_the_largest_pairs_are_exact(pairs: list[tuple[int, int]], target: Target):
    case = Case(16, 8, 1, zero_in=0, zero_out=128, tile=TILE)
    check_data(case, holding(pairs, case), param(target).values[0])


@pytest.mark.parametrize(
    ("pair", "admitted"),
    [
        ((127, 1), True),
        ((64, 64), True),
        ((65, 64), False),
        ((-64, -65), False),
        ((127, -127), True),
        ((-128, 0), True),
    ],
)
def test_what_is_admitted(pair: tuple[int, int], admitted: bool):
    case = Case(8, 8, 1)
    dot, data = dot_product(AVX2.instruction_set), holding([pair], case)
    found = algorithms.admitted(spec(case), dot, parameters(case, data))
    assert found == ((BYTES,) if admitted else ())
    conv = dataclasses.replace(spec(case), algorithms=found)
    assert default_tile(conv, dot.columns, dot).algorithm == (BYTES if admitted else "direct")
    assert algorithms.refused(conv, dot) == ("" if admitted else "weights too large for pairs of bytes")


def test_only_where_there_are_such_instructions():
    case = Case(8, 8, 1)
    conv = dataclasses.replace(spec(case), algorithms=(BYTES,))
    for name, possible in (("avx2", True), ("sse4", True), ("avx512vnni", False), ("portable", False)):
        dot = dot_product(name)
        assert TILE.fits(conv, dot.columns * 2, dot) == possible
        assert direct_tile(conv, dot.columns, dot).algorithm == "direct"
