"""Networks that divide pictures: what they take is found out and said, and others are refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest

from tests.sr_models import Builder
from toolchain.frontend import SRModel, normalize
from toolchain.frontend.probe import run
from toolchain.frontend.unit import unit_of
from toolchain.images.units import in_units


def unshuffled(spelling: str) -> onnx.ModelProto:
    """Down by two, a convolution, up by four."""
    b = Builder()
    if spelling == "SpaceToDepth":
        x = b.node("SpaceToDepth", "input", blocksize=2)
    elif spelling == "pixel_unshuffle":  # as PyTorch writes it out for free sizes
        shape = b.node("Shape", "input")
        height, width = (b.node("Gather", shape, b.const([axis], np.int64)) for axis in (2, 3))
        halves = [b.node("Div", side, b.const([2], np.int64)) for side in (height, width)]
        two, parts = b.const([2], np.int64), b.const([1, 3], np.int64)
        x = b.node("Reshape", "input", b.node("Concat", parts, halves[0], two, halves[1], two, axis=0))
        x = b.node("Transpose", x, perm=[0, 1, 3, 5, 2, 4])
        x = b.node("Reshape", x, b.node("Concat", b.const([1, 12], np.int64), *halves, axis=0))
    else:
        ends, axes, steps = (b.const(numbers, np.int64) for numbers in ([1 << 40] * 2, [2, 3], [2, 2]))
        places = [b.const([y, x], np.int64) for x in (0, 1) for y in (0, 1)]
        x = b.node("Concat", *(b.node("Slice", "input", place, ends, axes, steps) for place in places), axis=1)
    b.depth_to_space(b.conv(b.node("Relu", b.conv(x, 12, 16)), 16, 48), 4, out="output")
    return b.model(3, 2)


@pytest.mark.parametrize("spelling", ["SpaceToDepth", "pixel_unshuffle", "slices"])
def test_space_to_depth_in_all_its_spellings(spelling: str):
    sr = normalize(unshuffled(spelling), value_range="0..1")
    assert [node.op_type for node in sr.model.graph.node] == ["SpaceToDepth", "Conv", "Relu", "Conv", "DepthToSpace"]
    assert (sr.unit, sr.scale, unit_of(sr.model)) == (2, 2, 2)
    assert any("multiples of 2" in change for change in sr.changes)


def strided(up: int, kernel: int = 3, stride: int = 2, **attributes: object) -> onnx.ModelProto:
    b = Builder()
    weight = b.const(b.rng.normal(0, 0.2, (8, 3, kernel, kernel)))
    x = b.node("Conv", "input", weight, strides=[stride] * 2, **attributes)
    b.depth_to_space(b.conv(x, 8, 3 * up**2), up, out="output")
    return b.model(3, 1)


@pytest.mark.parametrize(
    ("model", "unit", "scale"),
    [
        (strided(2, pads=[1] * 4), 2, 1),
        (strided(6, pads=[1] * 4), 2, 3),
        (strided(6, 5, 3, pads=[1] * 4), 3, 2),
        (strided(4, auto_pad="SAME_UPPER"), 2, 2),
    ],
    ids=["restored", "x3", "by three", "as TensorFlow pads"],
)
def test_strides(model: onnx.ModelProto, unit: int, scale: int):
    sr = normalize(model, value_range="0..1")
    assert (sr.unit, sr.scale) == (unit, scale)
    (first, *_) = sr.model.graph.node
    assert "auto_pad" not in [attribute.name for attribute in first.attribute]
    x = np.random.default_rng(0).random((1, 3, 4 * unit, 5 * unit)).astype(np.float32)
    np.testing.assert_allclose(run(sr.model, x), run(model, x), atol=1e-5)


def test_a_fraction_is_exact_for_multiples():
    sr = normalize(strided(3, pads=[1] * 4), value_range="0..1")
    assert (sr.scale, sr.unit) == (Fraction(3, 2), 2)


def reach(sr: SRModel) -> int:
    """How far off a pixel of the input is that changes what a pixel becomes: by experiment."""
    size = 40 * sr.unit // 2
    x = np.random.default_rng(0).uniform(0.3, 0.7, (1, 3, 8, size)).astype(np.float32)
    make = in_units(lambda planes: run(sr.model, planes), sr.unit, (2, 3))
    base, far = make(x), 0
    for column in range(size):
        changed = x.copy()
        changed[..., column] += 0.3
        other = np.flatnonzero((make(changed) != base).any(axis=(0, 1, 2))) // sr.scale
        far = max(far, int(np.abs(other - column).max(initial=0)))
    return far


@pytest.mark.parametrize(
    "model", [strided(4, pads=[1] * 4), strided(6, 5, 3, pads=[1] * 4), unshuffled("SpaceToDepth")]
)
def test_the_receptive_field_is_that_of_all_pixels_of_a_unit(model: onnx.ModelProto):
    sr = normalize(model, value_range="0..1")
    assert reach(sr) <= sr.halo <= reach(sr) + sr.unit
