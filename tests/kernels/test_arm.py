"""The kernels for Arm equal the reference, under an emulator of a processor that has just what they need."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from tests.instruction_sets import ARM
from tests.kernels.harness import Case, check, compiled, expected, geometry, make_data, run, spec
from tests.kernels.test_assembly import assembly, kernels
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import unpack
from toolchain.kernels.spec import DepthToSpace
from toolchain.kernels.tile import Tile
from toolchain.targets import Target, find_target

SHUFFLE = DepthToSpace(2, 3, tuple(range(12)))
CASES = {
    "groups": Case(16, 16, groups=2, dilation=2, width=21),
    "slopes": Case(5, 7, 1, slopes=True, low=0),
    "residual": Case(8, 16, residual=(16, 1, 16), inner=(0.0, float("inf")), zero_out=60, around=(1, 2)),
    "anchor": Case(7, 12, residual=(3, 4, 3), pixels=SHUFFLE, tile=Tile(1, 4, "channels", "blocks", unroll=True)),
    "bounds": Case(8, 8, pads=(0, 2), fits=False, low=-3),
    "one tap": Case(11, 8, 1, tile=Tile(1, 8, unroll=True)),
    "one tap of one word": Case(3, 8, 1),
    "25 taps": Case(8, 12, 5, tile=Tile(2, 4, reduce="taps")),
    "4 taps": Case(4, 4, 2, pads=(0, 1)),
    "16 bits": Case(11, 8, wide=("in", "out"), zero_in=3000, zero_out=30001, width=21, around=(2, 1)),
    "16 bits, one tap, groups": Case(16, 16, 1, groups=2, wide=("in",), zero_in=65535),
    "16 bits, residual": Case(8, 16, residual=(16, 1, 16), wide=("in", "residual"), tile=Tile(1, 8, reduce="blocks")),
    "16 bits, anchor": Case(7, 12, residual=(3, 4, 3), pixels=SHUFFLE, wide=("in",), zero_in=700),
}


@ARM
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_kernel(target: Target, case: Case):
    check(case, target)


@ARM
@pytest.mark.parametrize("fill", [(255, 127), (255, -128), (0, -128)])
def test_extreme_codes_and_weights_are_exact(target: Target, fill: tuple[int, int]):
    # Less 128, codes reach from -128 to 127: (-128) * (-128) twice does not fit into 16 bits.
    case = Case(32, 8, fill=fill, zero_in=0 if fill[0] else 255, zero_out=0 if fill[1] * (fill[0] or -1) > 0 else 255)
    wanted = check(case, target)
    assert len(np.unique(wanted[:, 2, 5])) > 4
    assert not np.isin(wanted[:, 2, 5], (0, 255)).any()


@ARM
@pytest.mark.parametrize("weight", [127, -127])
def test_values_beyond_int32_saturate(target: Target, weight: int):
    case = Case(8, 8, fits=False, zero_in=0, zero_out=200, fill=(255, weight), low=-200)
    data = make_data(case)
    data.multiplier[:] = 1e6
    np.testing.assert_array_equal(np.unique(expected(case, data)), [255 if weight > 0 else 0])
    got = unpack(run(case, data, target), geometry(case, target), spec(case).channels, case.height, case.width)
    np.testing.assert_array_equal(got, expected(case, data))


@ARM
def test_another_tile_gives_the_same(target: Target):
    lanes = dot_product(target.instruction_set).lanes
    case = Case(8, 16, columns=6 * lanes, width=7 * lanes + 3)
    check(dataclasses.replace(case, tile=Tile(2, 8, "channels", "blocks")), target)


@ARM
def test_the_compiler_fuses_nothing(target: Target):
    text = "".join(assembly(kernel, target) for kernel in kernels(target).values())
    assert "fmul" in text or "vmul.f32" in text
    assert not any(name in text for name in ("fmla", "fmls", "fmadd", "fmsub", "vfma", "vfms", "vmla.f", "vmls.f"))


WANTED = {"neon": "sadalp", "neon-dotprod": "sdot", "neon-i8mm": "usmmla", "armv7-neon": "vpadal.s16"}


@ARM
def test_sums_are_made_by_the_instructions_meant_for_it(target: Target):
    text = compiled(Case(16, 16), target).mod.inspect_source("asm")
    lines = [line.split() for line in text.splitlines() if line.split()[:1] == [WANTED[target.instruction_set]]]
    assert len(lines) >= 8
    if target.instruction_set == "neon-dotprod":
        assert all(words[-1].endswith("]") for words in lines), "weights are spread over registers of their own"


def test_only_taps_in_different_rows_are_interleaved():
    """Of five pairs of taps one crosses a row: two instructions for each vector, and one for each register of sums."""
    case = Case(16, 16, tile=Tile(4, 4, reduce="blocks"))
    count = Counter(
        line.split()[0]
        for line in compiled(case, find_target("neoverse-n2")).mod.inspect_source("asm").splitlines()
        if line.strip()
    )
    assert count["usmmla"] == 5 * 4 * 4
    assert count["trn1"] + count["trn2"] == 2 * 4 + 4 * 4
