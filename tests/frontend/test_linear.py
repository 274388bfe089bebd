"""Linear maps against onnxruntime: what is called exact is equal at the borders too, what is not differs there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend import linear
from toolchain.frontend.linear import Linear
from toolchain.frontend.probe import run


def computed(maps: list[Linear], x: np.ndarray) -> np.ndarray:
    """The maps one after the other, each as a convolution."""
    nodes, tensors, name = [], [], "x"
    for i, m in enumerate(maps):
        tensors += [
            numpy_helper.from_array(m.weight().astype(np.float32), f"w{i}"),
            numpy_helper.from_array(m.bias.astype(np.float32), f"b{i}"),
        ]
        nodes.append(helper.make_node("Conv", [name, f"w{i}", f"b{i}"], [f"y{i}"], pads=m.pads, group=m.group))
        name = f"y{i}"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", name)]
    graph = helper.make_graph(nodes, "maps", ends[:1], ends[1:], tensors)
    return run(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), x)


def picture(channels: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (1, channels, height, width)).astype(np.float32)


@st.composite
def convolutions(draw: st.DrawFn, cin: int, cout: int) -> Linear:
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 3), (2, 3), (5, 1)]))
    pads = draw(st.tuples(*[st.integers(0, 3)] * 4))
    dilations = draw(st.sampled_from([(1, 1), (2, 1)]))
    group = draw(st.sampled_from([1, 2]))
    weight = rng.normal(0, 1, (cout, cin // group, *kernel))
    if draw(st.booleans()):  # taps without effect
        weight[:, :, :1] *= kernel[0] == 1
    bias = rng.normal(0, 1, cout) * draw(st.booleans())
    return linear.convolution(weight, bias, pads, dilations, group)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_composition_is_equal_exactly_where_no_obstacle_is_named(data: st.DataObject) -> None:
    inner, outer = data.draw(convolutions(4, 6)), data.draw(convolutions(6, 2))
    x = picture(4, 20, 19)
    want, got = computed([inner, outer], x), computed([linear.composed(outer, inner)], x)
    assert want.shape == got.shape
    assert (np.abs(want - got).max() < 1e-3) == (linear.obstacle(outer, inner) == "")
    # Far from the borders, there is no difference in any case.
    inside = (..., slice(8, -8), slice(8, -8))
    x = picture(4, 37, 36)
    far = computed([linear.composed(outer, inner)], x)[inside]
    assert far.size
    np.testing.assert_allclose(computed([inner, outer], x)[inside], far, rtol=1e-5, atol=1e-4)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_sums(data: st.DataObject) -> None:
    first = data.draw(convolutions(4, 4))
    maps = [first]
    for _ in range(data.draw(st.integers(1, 3))):
        top, left = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        bottom, right = (2 + g - p for g, p in zip(first.growth, (top, left), strict=True))
        if min(bottom, right) >= 0:
            weight = np.random.default_rng(len(maps)).normal(0, 1, (4, 4, 3, 3))
            maps.append(linear.convolution(weight, np.ones(4), (top, left, bottom, right), (1, 1), 1))
    x = picture(4, 9, 10)
    want = np.sum([computed([m], x) for m in maps], axis=0)
    np.testing.assert_allclose(computed([linear.added(maps)], x), want, rtol=1e-5, atol=1e-4)


def test_groups_survive_where_both_have_them() -> None:
    rng = np.random.default_rng(0)

    def grouped(group: int) -> Linear:
        return linear.convolution(rng.normal(0, 1, (12, 12 // group, 3, 3)), np.zeros(12), (0,) * 4, (1, 1), group)

    both = linear.composed(grouped(4), grouped(6))
    assert (both.group, both.weight().shape) == (2, (12, 6, 5, 5))
    assert linear.added([grouped(4), grouped(12)]).weight().shape == (12, 3, 3, 3)
    assert linear.composed(grouped(4), linear.identity(12)).macs == 12 * 3 * 9
    x = picture(12, 9, 9)
    parts = [grouped(6), grouped(4)]
    np.testing.assert_allclose(computed([linear.composed(parts[1], parts[0])], x), computed(parts, x), atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3)])
def test_pictures_smaller_than_the_kernel(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    inner = linear.convolution(rng.normal(0, 1, (3, 2, 1, 1)), np.ones(3), (2,) * 4, (1, 1), 1)
    outer = linear.convolution(rng.normal(0, 1, (2, 3, 5, 5)), np.ones(2), (0,) * 4, (1, 1), 1)
    assert linear.obstacle(outer, inner) == ""
    x = picture(2, *size)
    np.testing.assert_allclose(
        computed([linear.composed(outer, inner)], x), computed([inner, outer], x), rtol=1e-5, atol=1e-4
    )


def test_taps_that_composing_leaves_without_effect_are_trimmed() -> None:
    weight = np.zeros((2, 1, 3, 3))
    weight[0], weight[1, 0, 1, 1] = 1.0, 5.0
    inner = linear.convolution(weight, np.zeros(2), (1,) * 4, (1, 1), 1)
    outer = linear.convolution(np.array([0.0, 1.0]).reshape(1, 2, 1, 1), np.ones(1), (0,) * 4, (1, 1), 1)
    found = linear.trimmed(linear.composed(outer, inner))
    assert (found.shape, found.pads, found.macs) == ((1, 1), (0, 0, 0, 0), 1)
    np.testing.assert_array_equal(found.weight(), [[[[5.0]]]])


def test_maps_of_different_sizes_cannot_be_added() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        linear.added([linear.identity(2), linear.padding(2, (1, 1, 1, 1))])


def test_outlier_ratio() -> None:
    weight = np.ones((3, 2, 3, 3))
    assert linear.outlier_ratio(weight) == 1.0
    weight[1, 0, 1, 1] = -30.0
    weight[2] *= 100.0  # a large channel has a large scale of its own
    assert linear.outlier_ratio(weight) == 30.0
    weight[1, 1] = 0.0
    assert linear.outlier_ratio(weight) == 30.0
    assert linear.outlier_ratio(np.zeros((1, 1, 3, 3))) == 1.0
