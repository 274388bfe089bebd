"""The lowering, before and after: `goldens` has the networks."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax
from tvm.ir import assert_structural_equal

from tests.lower.goldens import (
    ConvAnchorShuffle,
    ConvAnchorShuffleLowered,
    ConvAnchorShuffleStreamed,
    FloatAndConcat,
    FloatAndConcatLowered,
    Wide,
    WideLowered,
)
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import Conv, DepthToSpace, Operand, Requantize, View
from toolchain.lower import Coverage, lower
from toolchain.lower.stream import stream

GEOMETRY = Geometry(1, 16)
DOT = dot_product("portable")


@pytest.mark.parametrize(
    ("before", "expected"),
    [(ConvAnchorShuffle, ConvAnchorShuffleLowered), (FloatAndConcat, FloatAndConcatLowered), (Wide, WideLowered)],
)
def test_main(before: tvm.IRModule, expected: tvm.IRModule):
    after = lower(before, GEOMETRY, DOT).module
    assert_structural_equal(after["main"], expected["main"], map_free_vars=True)
    assert {symbol.name_hint for symbol in after.get_global_vars()} == {
        symbol.name_hint for symbol in expected.get_global_vars()
    }
    relax.analysis.well_formed(after)  # raises


def test_streamed():
    streamed = stream(lower(ConvAnchorShuffle, GEOMETRY, DOT))
    assert_structural_equal(streamed.module["main"], ConvAnchorShuffleStreamed["main"], map_free_vars=True)
    assert {symbol.name_hint for symbol in streamed.module.get_global_vars()} == {
        symbol.name_hint for symbol in ConvAnchorShuffleStreamed.get_global_vars()
    }
    relax.analysis.well_formed(streamed.module)  # raises


def test_rows_stream_to_a_float_operator_and_on_behind_it():
    streamed = stream(lower(FloatAndConcat, GEOMETRY, DOT))
    assert streamed.stream is None
    assert streamed.alone == ()
    kernels = [[call.kernel for call in segment.calls] for segment in streamed.segments]
    assert kernels == [["pack_pixels", "conv0_3x3_3to4"], ["rescale"], ["conv1_1x1_8to4"]]


def test_another_main_is_told_apart():
    after = lower(ConvAnchorShuffle, GEOMETRY, DOT).module
    with pytest.raises(ValueError, match="StructuralEqual"):
        assert_structural_equal(after["main"], FloatAndConcatLowered["main"], map_free_vars=True)


def test_what_the_kernels_compute():
    first, second = lower(ConvAnchorShuffle, GEOMETRY, DOT).kernels
    whole = View(1, 0, 1)
    assert first.conv == Conv(
        whole, 4, 1, (3, 3), (1, 1), (1, 1), Requantize(0, 250, 5, fits=True), whole, symmetric=True
    )
    anchor = Operand(whole, 1, 3, 0, 1.0)
    last = Requantize(0, 255, 0, residual=anchor, fits=True)
    pixels = DepthToSpace(2, 3, tuple(range(12)))
    assert second.conv == Conv(whole, 12, 1, (1, 1), (0, 0), (1, 1), last, View(3, 0, 3), pixels, symmetric=True)
    assert (first.macs, second.macs) == (4 * 3 * 9, 12 * 4)
    first, second = lower(Wide, GEOMETRY, DOT).kernels
    assert first.conv.target == second.conv.source == View(2, 0, 1, wide=True)
    assert first.conv.requantize == Requantize(-771, 65535 - 771, 771, fits=True)
    first, second = lower(FloatAndConcat, GEOMETRY, DOT).kernels
    assert first.conv.target == View(2, 0, 1)
    assert second.conv.source == View(2, 0, 2)


def test_coverage():
    coverage = lower(FloatAndConcat, GEOMETRY, DOT).coverage
    assert coverage == Coverage(2, 2, 4 * 3 * 9 + 4 * 8, 4 * 3 * 9 + 4 * 8, ("softmax",))
    assert str(coverage) == "integer coverage: 2/2 convolutions, 100.0 % of MACs; float: softmax"
