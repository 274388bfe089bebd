"""Networks that compute sizes from the picture, to divide it evenly: they take multiples of a unit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.frontend.goldens import Case
from tests.sr_models import Builder
from toolchain.frontend import normalize, smallest
from toolchain.frontend.passes import multiples
from toolchain.frontend.probe import run
from toolchain.images.units import in_units
from toolchain.support.errors import ModelError

HALF = "MaxPool <kernel_shape = [2, 2], strides = [2, 2]>"
CASES = {
    "padding to a multiple": Case(
        multiples.apply,
        """
        side = Shape <start = 2> (input)
        over = Mod (side, four)
        more = Sub (four, over)
        less = Mod (more, four)
        pads = Concat <axis = 0> (none, less)
        padded = Pad <mode = "reflect"> (input, pads)
        output = Relu (padded)
        """,
        """
        v0 = Pad(input, [0 0 0 0 0 0 0 0], mode=reflect)
        output = Relu(v0)
        """,
        {"four": np.array([4, 4]), "none": np.zeros(6, np.int64)},
        shape=(1, 4, 28, 20),
    ),
    "sizes that are rounded down": Case(
        multiples.apply,
        f"""
        shape = Shape (input)
        small = {HALF} (input)
        large = Resize <mode = "nearest"> (small, , , shape)
        output = Add (input, large)
        """,
        """
        v0 = MaxPool(input, kernel_shape=[2, 2], strides=[2, 2])
        v1 = Shape(input)
        v2 = Resize(v0, v1, mode=nearest)
        output = Add(input, v2)
        """,
        shape=(1, 4, 26, 22),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_graph(case: Case):
    case.check()


def _sides(b: Builder) -> list[str]:
    shape = b.node("Shape", "input")
    return [b.node("Gather", shape, b.const([axis], np.int64)) for axis in (2, 3)]


def _missing(b: Builder, side: str, unit: int, spelling: str) -> str:
    """How many pixels a side lacks, as exporters write it."""
    divisor, one = b.const([unit], np.int64), b.const([1], np.int64)
    if spelling == "Mod":
        return b.node("Mod", b.node("Sub", divisor, b.node("Mod", side, divisor)), divisor)
    if spelling == "Neg":
        return b.node("Mod", b.node("Neg", side), divisor)
    if spelling == "up":
        count = b.node("Add", b.node("Div", b.node("Sub", side, one), divisor), one)
    else:  # a whole unit where nothing is missing
        count = b.node("Add", b.node("Div", side, divisor), one)
    return b.node("Sub", b.node("Mul", count, divisor), side)


def padding(spelling: str, unit: int = 4, mode: str = "reflect", around: int = 0) -> onnx.ModelProto:
    """A picture padded to a multiple, made smaller and larger again, and cut to its size; a skip around it."""
    b = Builder()
    sides = _sides(b)
    front, none = b.const([around], np.int64), b.const([0], np.int64)
    behind = [b.node("Add", _missing(b, side, unit, spelling), front) for side in sides]
    pads = b.node("Concat", none, none, front, front, none, none, *behind, axis=0)
    padded = b.node("Pad", "input", pads, mode=mode)
    weight = b.const(b.rng.normal(0, 0.2, (8, 3, 2, 2)))
    small = b.node("Relu", b.node("Conv", padded, weight, strides=[2, 2]))
    large = b.node("Add", b.depth_to_space(b.conv(small, 8, 12), 2), padded)
    ends = [b.node("Add", side, front) for side in sides]
    cut = [large, front, ends[0], b.const([2], np.int64)]
    b.node("Slice", b.node("Slice", *cut), front, ends[1], b.const([3], np.int64), out="output")
    return b.model(3, 1)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize(("spelling", "unit"), [("Mod", 4), ("Neg", 2), ("up", 6), ("more", 8)])
def test_padding_to_a_multiple(spelling: str, unit: int, mode: str):
    model = padding(spelling, unit, mode)
    sr = normalize(model, value_range="0..1")
    assert (sr.unit, sr.scale) == (unit, 1)
    assert not any(node.op_type in ("Shape", "Mod", "Concat") for node in sr.model.graph.node)
    assert any(f"padding to multiples of {unit}" in change for change in sr.changes)
    x = np.random.default_rng(0).random((1, 3, 5 * unit, 3 * unit)).astype(np.float32)
    np.testing.assert_allclose(run(sr.model, x), run(model, x), atol=1e-5)
    odd = x[:, :, :-1, :-1]
    got = in_units(lambda planes: run(sr.model, planes), unit, (2, 3))(odd)
    assert got.shape == odd.shape
    if mode == "edge" and spelling != "more":  # as clipfree itself extends pictures
        np.testing.assert_allclose(got, run(model, odd), atol=1e-5)


def test_what_stays_of_a_padding_is_a_number_and_wants_as_many_pixels_to_calibrate():
    sr = normalize(padding("up", 2, around=20), value_range="0..1")
    assert sr.unit == 2
    assert smallest.smallest_picture(sr.model) == (1, 1)
    assert smallest.smallest_to_mirror(sr.model) == (21, 21)


def test_padding_that_no_unit_explains_is_no_padding_to_multiples():
    b = Builder()
    sides, none = _sides(b), b.const([0], np.int64)
    most = b.node("Max", *sides)
    behind = [b.node("Sub", most, side) for side in sides]
    padded = b.node("Pad", "input", b.node("Concat", *[none] * 6, *behind, axis=0))
    b.conv(padded, 3, 3, out="output")
    with pytest.raises(ModelError, match="a super-resolution network multiplies height and width by a number"):
        normalize(b.model(3, 1), value_range="0..1")


def pyramid(mode: str = "nearest") -> onnx.ModelProto:
    """Parts of the channels at a half and an eighth of the size, and back at the picture's."""
    b = Builder()
    x, shape = b.conv("input", 3, 8), b.node("Shape", "input")
    parts = []
    for index, size in enumerate((2, 8)):
        chosen = b.node("Gather", x, b.const(range(4 * index, 4 * index + 4), np.int64), axis=1)
        small = b.conv(b.node("MaxPool", chosen, kernel_shape=[size] * 2, strides=[size] * 2), 4, 4, groups=4)
        sides = b.node("Slice", shape, b.const([2], np.int64), b.const([4], np.int64))
        target = b.node("Concat", b.const([1, 4], np.int64), sides, axis=0)
        how = {"mode": mode, "coordinate_transformation_mode": "asymmetric" if mode == "nearest" else "half_pixel"}
        parts.append(b.node("Resize", small, "", "", target, **how, nearest_mode="floor"))
    b.depth_to_space(b.conv(b.node("Concat", *parts, axis=1), 8, 12), 2, out="output")
    return b.model(3, 2)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_sizes_that_are_rounded_down(mode: str):
    model = pyramid(mode)
    sr = normalize(model, value_range="0..1")
    assert (sr.unit, sr.scale) == (8, 2)
    assert sr.halo < 64
    assert not any(node.op_type == "Shape" for node in sr.model.graph.node)
    x = np.random.default_rng(0).random((1, 3, 24, 40)).astype(np.float32)
    np.testing.assert_allclose(run(sr.model, x), run(model, x), atol=1e-5)


def test_a_size_that_is_never_a_whole_multiple_stays_computed():
    """ESA goes down without padding, and back to what it came from."""
    b = Builder()
    x = b.conv("input", 3, 8)
    small = b.node("Conv", x, b.const(b.rng.normal(0, 0.2, (8, 8, 3, 3))), strides=[2, 2])
    large = b.node("Resize", small, "", "", b.node("Shape", x), mode="linear")
    b.depth_to_space(b.conv(b.node("Mul", x, large), 8, 12), 2, out="output")
    sr = normalize(b.model(3, 2), value_range="0..1")
    assert sr.unit == 1
    assert any(node.op_type == "Shape" for node in sr.model.graph.node)
