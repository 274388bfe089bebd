"""Every instruction set's convolution kernel gives the bits of the definition.

Those for Arm run under an emulator of a processor that has just what they need.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.instruction_sets import ALL, ARM, EVERY
from tests.kernels.harness import Case, check, expected, geometry, make_data, run, spec
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import unpack
from toolchain.kernels.spec import DepthToSpace
from toolchain.kernels.tile import Tile
from toolchain.targets import Target


def crd(scale: int, channels: int) -> DepthToSpace:
    """The table of DepthToSpace's CRD mode."""
    return DepthToSpace(
        scale,
        channels,
        tuple((c * scale + dy) * scale + dx for dy in range(scale) for dx in range(scale) for c in range(channels)),
    )


def dcr(scale: int, channels: int) -> DepthToSpace:
    return DepthToSpace(scale, channels, tuple(range(scale * scale * channels)))


CASES = {
    "3x3": Case(8, 8),
    "1x1": Case(16, 12, 1),
    "5x5": Case(4, 8, 5, height=7),
    "no padding channel is read": Case(3, 5, zero_in=200),
    "dilation": Case(5, 4, dilation=2, height=7),
    "pads all on one side": Case(4, 4, pads=(0, 2)),
    "pads on the other side, dilation": Case(4, 4, dilation=2, pads=(4, 1)),
    "groups": Case(16, 32, groups=4),
    "groups of one block": Case(12, 12, groups=3, kernel=1),
    "slopes": Case(6, 8, slopes=True, zero_out=128),
    "ReLU": Case(8, 8, zero_out=30, low=0),
    "inner bounds and residual": Case(8, 8, inner=(0.0, 40.0), residual=(8, 1, 8), zero_out=100),
    "inner ReLU and residual": Case(8, 8, inner=(0.0, float("inf")), residual=(8, 1, 8)),
    "slopes and residual": Case(8, 8, slopes=True, residual=(8, 1, 8), zero_out=100),
    "repeated residual": Case(8, 27, residual=(3, 1, 3)),
    "interleaved residual": Case(8, 27, residual=(3, 9, 3)),
    "broadcast residual": Case(8, 9, residual=(1, 1, 1)),
    "four repeated channels": Case(8, 12, residual=(4, 1, 4)),
    "residual with padding channels": Case(8, 6, residual=(6, 1, 8)),
    "parts of larger buffers": Case(8, 12, around=(2, 3)),
    "pixels x1, grey": Case(4, 1, pixels=crd(1, 1)),
    "pixels x2, RGB": Case(4, 12, pixels=crd(2, 3)),
    "pixels x3, grey": Case(4, 9, pixels=crd(3, 1), residual=(1, 1, 1)),
    "pixels x3, RGB": Case(8, 27, pixels=dcr(3, 3), residual=(3, 1, 3), height=3, width=37),
    "pixels x4, RGB": Case(4, 48, pixels=crd(4, 3), height=2),
    "pixels, slopes": Case(4, 3, pixels=crd(1, 3), slopes=True, zero_out=90),
    "pixels of parts of larger buffers": Case(8, 4, pixels=crd(2, 1), around=(1, 0)),
    "one pixel": Case(5, 6, height=1, width=1),
    "one pixel, 5x5, x2": Case(5, 12, 5, height=1, width=1, pixels=crd(2, 3)),
    "one column": Case(4, 4, height=9, width=1),
    "16 bits in": Case(8, 8, wide=("in",), zero_in=3000),
    "16 bits out": Case(8, 8, wide=("out",), zero_out=30001),
    "16 bits, 1x1": Case(16, 12, 1, wide=("in", "out"), zero_in=255, zero_out=256),
    "16 bits, groups": Case(16, 32, groups=4, wide=("in",), zero_in=65535),
    "16 bits, parts of larger buffers": Case(6, 8, slopes=True, wide=("in", "out"), around=(2, 3), zero_out=40000),
    "16 bits, ReLU": Case(8, 8, wide=("out",), zero_out=700, low=0),
    "16 bits, residual of 8": Case(8, 8, residual=(8, 1, 8), wide=("in", "out"), zero_out=30000),
    "16 bits in the residual": Case(8, 27, residual=(3, 9, 3), wide=("residual",)),
    "16 bits everywhere": Case(8, 8, inner=(0.0, 9000.0), residual=(8, 1, 8), wide=("in", "out", "residual")),
    "16 bits, pixels": Case(8, 27, pixels=dcr(3, 3), residual=(3, 1, 3), height=3, width=37, wide=("in",)),
}

ARM_CASES = {
    "groups": Case(16, 16, groups=2, dilation=2, width=21),
    "slopes": Case(5, 7, 1, slopes=True, low=0),
    "residual": Case(8, 16, residual=(16, 1, 16), inner=(0.0, float("inf")), zero_out=60, around=(1, 2)),
    "anchor": Case(7, 12, residual=(3, 4, 3), pixels=dcr(2, 3), tile=Tile(1, 4, "channels", "blocks", unroll=True)),
    "bounds": Case(8, 8, pads=(0, 2), fits=False, low=-3),
    "one tap": Case(11, 8, 1, tile=Tile(1, 8, unroll=True)),
    "one tap of one word": Case(3, 8, 1),
    "25 taps": Case(8, 12, 5, tile=Tile(2, 4, reduce="taps")),
    "4 taps": Case(4, 4, 2, pads=(0, 1)),
    "16 bits": Case(11, 8, wide=("in", "out"), zero_in=3000, zero_out=30001, width=21, around=(2, 1)),
    "16 bits, one tap, groups": Case(16, 16, 1, groups=2, wide=("in",), zero_in=65535),
    "16 bits, residual": Case(8, 16, residual=(16, 1, 16), wide=("in", "residual"), tile=Tile(1, 8, reduce="blocks")),
    "16 bits, anchor": Case(7, 12, residual=(3, 4, 3), pixels=dcr(2, 3), wide=("in",), zero_in=700),
}


@EVERY
@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name: str, target: Target):
    wanted = check(CASES[name], target)
    used = wanted[: CASES[name].outputs]
    assert used.size < 40 or len(np.unique(used)) > 15, "this case says nothing: its codes are all alike"


@ARM
@pytest.mark.parametrize("name", ARM_CASES)
def test_equals_the_definition_on_arm(name: str, target: Target):
    check(ARM_CASES[name], target)


@EVERY
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_widths_around_the_column_tile(target: Target, over: int):
    dot = dot_product(target.instruction_set)
    check(Case(4, 4, height=2, width=dot.columns + over), target)
    check(Case(4, 12, height=2, width=2 * dot.columns + over, pixels=crd(2, 3)), target)


@ALL
@pytest.mark.parametrize(("weight", "zero"), [(127, 0), (-127, 0), (127, 200), (-127, 200)])
def test_values_beyond_int32_saturate(target: Target, weight: int, zero: int):
    """A multiplier so large that the value before the clamp fits no integer, where nothing is known of it."""
    case = Case(8, 8, fits=False, zero_in=0, zero_out=zero, fill=(255, weight), low=-zero)
    data = make_data(case)
    data.multiplier[:] = 1e6
    np.testing.assert_array_equal(np.unique(expected(case, data)), [255 if weight > 0 else 0])
    conv, shape = spec(case), geometry(case, target)
    got = unpack(run(case, data, target)[:, conv.target.start :], shape, conv.channels, case.height, case.width)
    np.testing.assert_array_equal(got, expected(case, data))


@EVERY
@pytest.mark.parametrize("low", [0, -5])
@pytest.mark.parametrize("fits", [False, True])
def test_bounds(target: Target, low: int, fits: bool):
    check(Case(8, 8, zero_out=5, low=low, fits=fits), target)


@ALL
@pytest.mark.parametrize("fill", [(255, 127), (255, -127), (255, -128), (0, -128)])
def test_extreme_codes_and_weights_are_exact(target: Target, fill: tuple[int, int]):
    # 255*127 + 255*127 does not fit into 16 bits: an instruction that saturates in between would be seen here.
    # Less 128, as Arm's kernels take them, codes reach from -128 to 127: nor does (-128) * (-128) twice.
    case = Case(32, 8, fill=fill, zero_in=0 if fill[0] else 255, zero_out=0 if fill[1] * (fill[0] or -1) > 0 else 255)
    wanted = check(case, target)
    assert len(np.unique(wanted[:, 2, 5])) > 4
    assert not np.isin(wanted[:, 2, 5], (0, 255)).any()


TILES = (
    Tile(1, 4),
    Tile(2, 8),
    Tile(3, 4, "channels"),
    Tile(2, 4, reduce="blocks"),
    Tile(1, 8, unroll=True),
    Tile(1, 4, "channels", "blocks", unroll=True),
)


@EVERY
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_any_tile_gives_the_same(target: Target, tile: Tile):
    lanes = dot_product(target.instruction_set).lanes
    case = Case(8, 16, residual=(16, 1, 16), zero_out=60, columns=6 * lanes, width=7 * lanes + 3)
    check(dataclasses.replace(case, tile=tile), target)


@ARM
def test_another_tile_gives_the_same_on_arm(target: Target):
    lanes = dot_product(target.instruction_set).lanes
    case = Case(8, 16, columns=6 * lanes, width=7 * lanes + 3)
    check(dataclasses.replace(case, tile=Tile(2, 8, "channels", "blocks")), target)


@EVERY
@pytest.mark.parametrize(
    "case", [Case(16, 32, groups=2), Case(12, 8, 1), Case(8, 12, pixels=dcr(2, 3))], ids=["groups", "1x1", "pixels"]
)
def test_orders_for_every_kind_of_kernel(target: Target, case: Case):
    check(dataclasses.replace(case, tile=Tile(1, 4, "channels", "blocks", unroll=True)), target)
