"""Every instruction set's float convolution is the definition but for rounding."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.instruction_sets import ARM, EVERY, PORTABLE, TARGETS
from tests.kernels.float_harness import check_conv
from tests.kernels.test_assembly import assembly
from tests.kernels.test_conv import crd, dcr
from toolchain.kernels import float_algorithms, float_winograd
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.float_tile import WINOGRAD, FloatTile, choose_tile
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Needs
from toolchain.kernels.spec import Add, Addend, Bounds, Slopes, View
from toolchain.kernels.vectors import vectors_for
from toolchain.support.errors import TargetError
from toolchain.targets import Target, find_target

RELU, BENT = Bounds(low=0.0), Slopes()


def conv(
    inputs: int, outputs: int, kernel: int = 3, *, around: tuple[int, int] = (0, 0), dilation: int = 1, **others: Any
) -> FloatConv:
    source, target = (
        View(count + 2 * start, start, count) for count, start in zip((inputs, outputs), around, strict=True)
    )
    pads = others.pop("pads", ((kernel - 1) * dilation // 2,) * 2)
    return FloatConv(source, outputs, others.pop("groups", 1), (kernel,) * 2, pads, (dilation,) * 2, target, **others)


def plain(count: int) -> Add:
    return Add(Addend(View(count, 0, count), 1, count))


def residual(count: int, divide: int, modulo: int) -> Add:
    return Add(Addend(View(count + 2, 1, count), divide, modulo))


CASES = {
    "3x3": conv(8, 8, stages=(RELU,)),
    "odd channels": conv(11, 13),
    "prime channels, more than registers": conv(2, 37, 1),
    "prime channels, by Winograd": conv(4, 37),
    "1x1": conv(16, 12, 1, stages=(Bounds(-0.1, 0.2),)),
    "5x5": conv(3, 9, 5),
    "dilation": conv(5, 4, dilation=2),
    "pads all on one side": conv(4, 4, pads=(0, 2)),
    "groups": conv(16, 32, groups=4),
    "groups of odd channels": conv(9, 15, groups=3),
    "depthwise": conv(6, 6, groups=6),
    "PReLU": conv(6, 8, stages=(BENT,)),
    "residual": conv(8, 8, stages=(plain(8), RELU)),
    "ReLU, residual, PReLU": conv(8, 8, stages=(RELU, plain(8), BENT)),
    "PReLU, residual, PReLU": conv(4, 4, stages=(BENT, plain(4), BENT)),
    "repeated residual": conv(8, 27, stages=(residual(3, 1, 3),)),
    "interleaved residual": conv(8, 27, stages=(residual(3, 9, 3),)),
    "broadcast residual": conv(8, 9, stages=(residual(1, 1, 1),)),
    "parts of larger buffers": conv(8, 12, around=(2, 3)),
    "pixels x1, grey": conv(4, 1, pixels=crd(1, 1)),
    "pixels x2, RGB, 0..255": conv(4, 12, pixels=crd(2, 3), gain=100.0),
    "pixels x3, RGB": conv(8, 27, pixels=dcr(3, 3), stages=(residual(3, 1, 3),)),
    "pixels, PReLU": conv(4, 3, pixels=crd(1, 3), stages=(BENT,)),
}


@pytest.mark.parametrize("name", CASES)
def test_is_the_definition(name: str):
    host = find_target("host")
    check_conv(CASES[name], host, vectors_for(host, "float32"), 5, 13)


@pytest.mark.parametrize("name", ["groups", "ReLU, residual, PReLU", "pixels x3, RGB"])
def test_direct_sums_are_the_definition(name: str):
    host = find_target("host")
    vectors = dataclasses.replace(vectors_for(host, "float32"), fewest=None)
    check_conv(CASES[name], host, vectors, 5, 13)


def test_winograd_is_for_3x3_kernels_of_float32():
    vectors = vectors_for(TARGETS[0], "float32")
    for name, case in CASES.items():
        wanted = case.kernel == (3, 3) and case.dilation == (1, 1) and case.source.count // case.groups >= 3
        assert (choose_tile(case, vectors).algorithm == WINOGRAD) == wanted, name
        assert choose_tile(case, vectors.half()).algorithm == "direct"


def along_a_row(taps: list[float], d: list[float]) -> list[float]:
    """F(4,3) by the kernel's own matrix of weights and its transforms, in exact arithmetic."""
    given = np.array(taps).reshape(1, 1, 3, 1)
    u = float_winograd.weights(np.repeat(given, 3, axis=1), 1, FloatTile(1, 1, WINOGRAD))[0, :, 0, 0, 0]
    a, b, c, e = d[4] - 4 * d[2], d[3] - 4 * d[1], d[4] - d[2], d[3] - d[1]
    v = [4 * (d[0] - d[2]) + c, a + b, a - b, c + 2 * e, c - 2 * e, d[5] - d[3] - 4 * e]
    m = u * np.array(v)
    near, across, far, beyond = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [m[0] + near + far, across + 2 * beyond, near + 4 * far, across + m[5] + 8 * beyond]


@given(st.lists(st.integers(-99, 99), min_size=3, max_size=3), st.lists(st.integers(-99, 99), min_size=6, max_size=6))
def test_the_transformed_weights_are_those_of_winograd(taps: list[int], d: list[int]):
    wanted = [sum(t * x for t, x in zip(taps, d[i : i + 3], strict=True)) for i in range(4)]
    np.testing.assert_allclose(along_a_row(list(map(float, taps)), list(map(float, d))), wanted, atol=1e-8)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 140), st.integers(1, 7), st.sampled_from(["PReLU", "pixels x2, RGB, 0..255", "groups"]))
def test_any_size(width: int, height: int, name: str):
    check_conv(CASES[name], PORTABLE, vectors_for(PORTABLE, "float32"), height, width)


@EVERY
@pytest.mark.parametrize("name", ["groups", "ReLU, residual, PReLU", "pixels x3, RGB"])
def test_is_the_definition_with_any_instructions(name: str, target: Target):
    check_conv(CASES[name], target, vectors_for(target, "float32"), 3, 13)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_widths_around_the_column_tile(over: int):
    host = find_target("host")
    vectors = vectors_for(host, "float32")
    check_conv(CASES["3x3"], host, vectors, 2, vectors.columns + over)
    check_conv(CASES["pixels x2, RGB, 0..255"], host, vectors, 1, 2 * vectors.columns + over)


def test_one_pixel():
    host = find_target("host")
    check_conv(CASES["5x5"], host, vectors_for(host, "float32"), 1, 1)


@ARM
@pytest.mark.parametrize("name", ["groups", "pixels x3, RGB"])
def test_arm(name: str, target: Target):
    check_conv(CASES[name], target, vectors_for(target, "float32"), 3, 13)


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["groups", "ReLU, residual, PReLU", "pixels x3, RGB"])
def test_float16(name: str):
    target = find_target("cortex-a76")
    check_conv(CASES[name], target, vectors_for(target, "float16"), 3, 19)


@pytest.mark.parametrize(
    ("name", "precision", "algorithm", "wanted"),
    [
        ("x86-avx512vnni", "float32", "direct", r"vfmadd\w+ps\s.*%zmm"),
        ("x86-avx512vnni", "float32", WINOGRAD, r"vfmadd\w+ps\s.*%zmm"),
        ("x86-avx2", "float32", "direct", r"vfmadd\w+ps\s.*%ymm"),
        ("x86-avx2", "float32", WINOGRAD, r"vfmadd\w+ps\s.*%ymm"),
        ("cortex-a53", "float32", "direct", r"fmla\s.*\.4s"),
        ("cortex-a53", "float32", WINOGRAD, r"fmla\s.*\.4s"),
        ("cortex-a76", "float16", "direct", r"fmla\s.*\.8h"),
    ],
)
def test_sums_are_fused_and_stay_in_registers(name: str, precision: str, algorithm: str, wanted: str):
    target, case = find_target(name), conv(32, 32, groups=2)
    vectors = vectors_for(target, precision)
    other = vectors if algorithm == WINOGRAD else dataclasses.replace(vectors, fewest=None)
    tile = choose_tile(case, other)
    assert tile.algorithm == algorithm
    kernel = float_algorithms.build(case, Geometry(1, vectors.columns), vectors, tile)
    text = assembly(kernel, target)
    inner = max(text.split(".LBB"), key=lambda block: len(re.findall(wanted, block)))
    found = len(re.findall(wanted, inner))
    stores = len(re.findall(r"vmov[au]ps\s+%[yz]mm\d+, .*\(|st[rp]\s+q", inner))
    assert found >= 8
    assert stores * 4 < found, "accumulators go through memory"


@pytest.mark.parametrize(("channels", "groups"), [(28, 1), (27, 1), (32, 4), (3, 1), (13, 1), (37, 1), (6, 6)])
@pytest.mark.parametrize("name", ["avx512vnni", "avx2", "sse4", "neon"])
def test_default_tiles_fit_the_registers(channels: int, groups: int, name: str):
    vectors = vectors_for(dataclasses.replace(TARGETS[0], instruction_set=name), "float32")
    tile = choose_tile(conv(groups, channels, groups=groups), vectors)
    assert tile.vectors * tile.channels + tile.vectors < vectors.registers
    assert 3 * tile.blocks(channels // groups) * tile.channels <= 4 * channels / groups
    assert vectors.columns % (tile.vectors * vectors.lanes) == 0


@pytest.mark.parametrize("name", ["3x3", "groups", "pixels x3, RGB"])
def test_the_workspace_is_what_winograd_allocates(name: str):
    vectors, case = vectors_for(TARGETS[0], "float32"), CASES[name]
    tile = choose_tile(case, vectors)
    text = float_algorithms.build(case, Geometry(1, vectors.columns), vectors, tile).script()
    found = re.findall(r"T\.alloc_buffer\(\(([\d, ]+)\)(?:, \"(\w+)\")?\)", text)
    sizes = [math.prod(map(int, filter(None, shape.split(",")))) for shape, _ in found]
    size = sum(count * np.dtype(kind or "float32").itemsize for count, (_, kind) in zip(sizes, found, strict=True))
    assert float_algorithms.needs(case, vectors, tile) == Needs(workspace=size, further=3)


def test_every_tile_computes_the_same():
    target = PORTABLE
    vectors = vectors_for(target, "float32")
    for tile in (FloatTile(1, 1), FloatTile(2, 2), FloatTile(1, 4)):
        for algorithm in ("direct", WINOGRAD):
            same = dataclasses.replace(tile, algorithm=algorithm)  # type: ignore[arg-type]
            check_conv(CASES["groups"], target, vectors, 3, 9, same)


def test_float16_is_for_processors_that_have_it():
    x86, arm = TARGETS[0], dataclasses.replace(TARGETS[0], instruction_set="neon-dotprod", requires=("asimdhp",))
    with pytest.raises(TargetError, match=r"does not compute with float16; that takes Armv8\.2 FP16 or AVX512-FP16"):
        vectors_for(x86, "float16")
    half = vectors_for(arm, "float16")
    assert (half.dtype, half.lanes) == ("float16", 8)
    assert np.dtype(half.dtype).itemsize * half.lanes == 16
    with pytest.raises(TargetError, match="no float kernels for the instruction set 'abacus'"):
        vectors_for(dataclasses.replace(x86, instruction_set="abacus"), "float32")
