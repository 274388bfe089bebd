"""Winograd's F(4x4,3x3) gives the bits of the definition: of every kind of convolution it is admitted for, any size."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.instruction_sets import AVX2, AVX512VNNI, AVXVNNI, SSE4, param
from tests.kernels.harness import Case, Data, check, check_data, expected, geometry, make_data, parameters, run, spec
from tests.kernels.test_conv import CASES, crd, dcr
from toolchain.kernels import algorithms
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import Geometry, unpack
from toolchain.kernels.network import Needs
from toolchain.kernels.tile import WINOGRAD, Tile
from toolchain.kernels.winograd import transforms
from toolchain.targets import Target, find_target

TILES = (Tile(2, 4, algorithm=WINOGRAD), Tile(1, 4, algorithm=WINOGRAD), Tile(3, 8, algorithm=WINOGRAD))
WHERE = pytest.mark.parametrize("target", [param(target) for target in (AVX512VNNI, AVXVNNI, AVX2, SSE4)])
ADMITTED = {
    name: case for name, case in CASES.items() if case.kernel == 3 and case.dilation == 1 and "in" not in case.wide
}

numbers = st.integers(-128, 127)


@given(st.lists(numbers, min_size=9, max_size=9), st.lists(st.integers(0, 255), min_size=36, max_size=36))
def test_the_transforms_are_the_convolution_times_576(weights: list[int], codes: list[int]):
    w, d = np.array(weights).reshape(3, 3), np.array(codes).reshape(6, 6)
    u = transforms.weights(w[None, None].astype(np.int8))[0, 0].astype(np.int64)
    v = np.array(transforms.inputs(np.array(transforms.inputs(d)).T)).T
    y = np.array(transforms.outputs(np.array(transforms.outputs(u * v)).T)).T
    wanted = [[(w * d[i : i + 3, j : j + 3]).sum() for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(y, transforms.SCALE * np.array(wanted))


def test_transformed_numbers_fit_into_16_bits():
    """The largest ones, by the sums of the magnitudes of what each is made of."""
    u = (
        np.abs(
            np.array(
                [transforms.weights(np.eye(9, dtype=np.int8)[k].reshape(1, 1, 3, 3))[0, 0] for k in range(9)], np.int64
            )
        ).sum(axis=0)
        * 128
    )
    once = np.array(transforms.inputs(np.eye(6, dtype=np.int64)))
    # Of codes, which are not negative, one sign of the coefficients counts at a time.
    grid = np.einsum("ai,bj->abij", once, once)
    largest = np.maximum(np.maximum(grid, 0).sum(axis=(2, 3)), np.maximum(-grid, 0).sum(axis=(2, 3))) * 255
    assert u.max() == 18432
    assert largest.max() == 17340


@given(st.integers(-transforms.LARGEST + 1, transforms.LARGEST - 1))
def test_the_inverse_of_9_leaves_64(value: int):
    wrapped = np.array([transforms.SCALE * value * transforms.INVERSE % 2**32], np.uint32).view(np.int32)
    assert int(wrapped[0]) == transforms.LEFT * value


@WHERE
@pytest.mark.parametrize("name", ADMITTED)
def test_equals_the_definition(name: str, target: Target):
    check(dataclasses.replace(ADMITTED[name], tile=TILES[0]), target)


@WHERE
@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize(
    "case",
    [
        Case(32, 16, residual=(16, 1, 16), zero_out=60),
        Case(8, 32, groups=2, slopes=True),
        Case(4, 24, pixels=crd(2, 3), zero_in=0),
    ],
    ids=["residual", "groups", "pixels"],
)
def test_any_tile_gives_the_same(case: Case, tile: Tile, target: Target):
    check(dataclasses.replace(case, tile=tile, height=9, width=150), target)


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["cortex-a53", "cortex-a7"])
@pytest.mark.parametrize(
    ("case", "tile"),
    [
        (Case(8, 8, residual=(8, 1, 8), zero_out=60, slopes=True, height=9, width=70), TILES[1]),
        (Case(16, 32, groups=2, height=6, width=40), Tile(1, 8, algorithm=WINOGRAD)),
        (Case(8, 24, pixels=crd(2, 3)), Tile(1, 8, algorithm=WINOGRAD)),
        (Case(12, 8, fill=(255, -128), zero_in=0, zero_out=255), TILES[1]),
        (Case(12, 8, fill=(0, 127), zero_in=255), TILES[1]),
        (Case(8, 12, height=2, width=1, zero_in=255), TILES[0]),
    ],
    ids=["residual", "groups", "pixels", "-128", "zeros", "a column"],
)
def test_arm_by_element(case: Case, tile: Tile, name: str):
    check(dataclasses.replace(case, tile=tile), find_target(name))


SIZES = Case(8, 8, residual=(8, 1, 8), zero_out=60, slopes=True), Case(4, 12, pixels=dcr(2, 3), residual=(3, 4, 3))


@WHERE
@settings(max_examples=30)
@given(st.sampled_from(SIZES), st.sampled_from(TILES[:2]), st.integers(1, 130), st.integers(1, 130), st.data())
def test_any_size(target: Target, case: Case, tile: Tile, height: int, width: int, data: st.DataObject):
    height = data.draw(st.sampled_from([height, min(height, 9)]))
    check(dataclasses.replace(case, tile=tile, height=height, width=width), target)


def patterns(case: Case, kind: str) -> np.ndarray:
    """Codes (C, h, w)."""
    shape = (case.inputs, case.height, case.width)
    if kind == "white":
        return np.full(shape, 255, np.uint8)
    c, y, x = np.indices(shape)
    period = {"checkerboard": 1, "coarse checkerboard": 4}[kind]
    return np.asarray((c + y // period + x // period) % 2 * 255, np.uint8)


@WHERE
@pytest.mark.parametrize("kind", ["white", "checkerboard", "coarse checkerboard"])
@settings(max_examples=10)
@given(
    st.sampled_from(["127", "-128", "extremes", "alternating"]),
    st.integers(1, 130),
    st.integers(1, 9),
    st.sampled_from([0, 3, 255]),
    st.integers(0, 9),
)
def test_extreme_weights_and_pictures(
    target: Target, kind: str, weights: str, width: int, height: int, zero: int, seed: int
):
    case = Case(32, 8, tile=TILES[0], width=width, height=height, zero_in=zero, zero_out=128, seed=seed)
    data = make_data(case)
    if weights == "alternating":
        i, j = np.indices((3, 3))
        data.weights[:] = np.where((i + j) % 2, 127, -128)
    elif weights == "extremes":
        data.weights[:] = np.random.default_rng(seed).choice([-128, 127], data.weights.shape)
    else:
        data.weights[:] = int(weights)
    data.multiplier[:] = np.linspace(2e-5, 1e-3, len(data.multiplier))
    check_data(case, dataclasses.replace(data, codes=patterns(case, kind)), target)


EVERY_SIZE = [(height, width) for height in range(1, 131) for width in (1, 31, 64, 65, 130)]
EVERY_SIZE += [(height, width) for height in (*range(1, 10), 130) for width in range(1, 131)]


@pytest.mark.parametrize("target", [param(AVX512VNNI), param(AVX2)])
@pytest.mark.parametrize("kind", ["white", "checkerboard"])
def test_extreme_weights_and_pictures_of_every_size(target: Target, kind: str):
    """One kernel, one picture: what a smaller one must give is a part of what the largest gives, but for its border."""
    largest = Case(8, 4, tile=TILES[0], width=132, height=132, zero_in=0, zero_out=128)
    data = make_data(largest)
    data.weights[:] = np.random.default_rng(0).choice([-128, 127], data.weights.shape)
    data.multiplier[:] = np.linspace(1e-4, 1e-3, len(data.multiplier))
    data = dataclasses.replace(data, codes=patterns(largest, kind))
    sums = expected(largest, data)
    for height, width in dict.fromkeys(EVERY_SIZE):
        case = dataclasses.replace(largest, height=height, width=width)
        given = dataclasses.replace(data, codes=data.codes[:, :height, :width])
        wanted = sums[:, :height, :width].copy()
        for rows, columns, top, left in borders(height, width):
            part = dataclasses.replace(given, codes=given.codes[:, top:, left:])
            small = dataclasses.replace(case, height=height - top, width=width - left)
            wanted[:, rows, columns] = expected(small, part)[:, rows.start - top :, columns.start - left :]
        got = unpack(run(case, given, target), geometry(case, target), 4, height, width)
        assert np.array_equal(got, wanted), (height, width)


def borders(height: int, width: int) -> list[tuple[slice, slice, int, int]]:
    """The last row and the last column of a picture, and the first row and column that they depend on."""
    top, left = max(height - 2, 0), max(width - 2, 0)
    down, across = slice(height - 1, height), slice(width - 1, width)
    return [(down, slice(0, width), top, 0), (slice(0, height), across, 0, left)]


def bound_by(bias: int) -> tuple[Case, Data]:
    """Weights of 1 and 8 channels: sums up to 72 * 255 beyond ``bias``."""
    case = Case(8, 8, tile=TILES[0], zero_in=0, zero_out=0)
    data = make_data(case)
    data.weights[:], data.bias[:] = 1, 0
    data.bias[5] = bias
    data.multiplier[:] = 2.0**-18
    return case, dataclasses.replace(data, codes=np.full_like(data.codes, 255))


LIMIT = 2**25 - 1 - 72 * 255


@WHERE
@pytest.mark.parametrize("bias", [LIMIT, -(2**25) + 1])
def test_sums_up_to_the_bound_are_exact(target: Target, bias: int):
    case, data = bound_by(bias)
    assert parameters(case, data).largest(255).max() == 2**25 - 1
    check_data(case, data, target)


def admitted(case: Case, data: Data, target: Target) -> tuple[str, ...]:
    found = algorithms.admitted(spec(case), dot_product(target.instruction_set), parameters(case, data))
    return tuple(name for name in found if name == WINOGRAD)


def test_what_is_admitted():
    for bias, wanted in ((LIMIT, (WINOGRAD,)), (LIMIT + 1, ()), (-(2**25) + 1, (WINOGRAD,)), (-(2**25), ())):
        assert admitted(*bound_by(bias), AVX2) == wanted
    for case in (Case(8, 8, 1), Case(8, 8, 5), Case(8, 8, dilation=2), Case(8, 8, wide=("in",))):
        assert admitted(case, make_data(case), AVX2) == ()
    case, data = bound_by(0)
    assert admitted(case, data, SSE4) == (WINOGRAD,)
    tiny = dataclasses.replace(data, multiplier=np.full_like(data.multiplier, 2.0**-121))
    assert admitted(case, tiny, AVX2) == ()


def test_a_tile_fits_where_it_is_admitted():
    dot, conv = dot_product("avx2"), spec(Case(8, 24, groups=2, tile=TILES[0]))
    for tile, fits in (
        (Tile(2, 4, algorithm=WINOGRAD), True),
        (Tile(5, 12, algorithm=WINOGRAD), True),
        (Tile(2, 8, algorithm=WINOGRAD), False),
        (Tile(0, 4, algorithm=WINOGRAD), False),
    ):
        assert tile.fits(conv, dot.columns, dot) == fits
    assert not TILES[0].fits(dataclasses.replace(conv, algorithms=()), dot.columns, dot)
    assert not TILES[0].fits(conv, dot.columns + 8, dot)


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize(
    "case", [Case(28, 28), Case(32, 32, groups=4), Case(28, 24, pixels=crd(2, 3))], ids=["3x3", "groups", "pixels"]
)
def test_the_workspace_is_what_the_kernel_allocates(case: Case, tile: Tile):
    dot, conv = dot_product("avx2"), spec(dataclasses.replace(case, tile=tile))
    body: Any = algorithms.build(conv, Geometry(1, dot.columns), dot, tile).body
    found = [4 * math.prod(map(int, buffer.shape)) for buffer in body.block.alloc_buffers if buffer.scope() != "local"]
    assert algorithms.needs(conv, dot, tile) == Needs(4, sum(found))
