"""Convolutions without padding: what they cut off goes to the end, and is made up for around the picture."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.frontend.goldens import Case
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.graph import Graph
from toolchain.frontend.passes import crops, full_size, transposed
from toolchain.frontend.probe import run
from toolchain.frontend.session import FloatSession

W = np.random.default_rng(0).normal(0, 0.3, (3, 3, 3, 3)).astype("f4")
B = np.float32([0.5, 0.25, 0])
VALID = "Conv <pads = [0, 0, 0, 0], kernel_shape = [3, 3], strides = [1, 1], dilations = [1, 1], group = 1>"
SAME = "dilations=[1, 1], group=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]"
SHAPE = (1, 3, 12, 14)

CASES = {
    "two convolutions without padding": Case(
        crops.apply,
        f"""
        a = {VALID} (input, w, b)
        r = Relu (a)
        output = {VALID} (r, w, b)
        """,
        f"""
        v0 = Conv(input, weights[3, 3, 3, 3], [0.5 0.25 0], {SAME})
        v1 = Relu(v0)
        v2 = Conv(v1, weights[3, 3, 3, 3], [0.5 0.25 0], {SAME})
        output = Slice(v2, [2 2], [-2 -2], [2 3])
        """,
        {"w": W, "b": B},
        shape=SHAPE,
    ),
    "a sum with what is cut, and a convolution with padding": Case(
        crops.apply,
        f"""
        a = {VALID} (input, w, b)
        c = Slice (input, one, minus, axes)
        s = Add (a, c)
        output = {VALID.replace("pads = [0, 0, 0, 0]", "pads = [1, 1, 1, 1]")} (s, w, b)
        """,
        f"""
        v0 = Conv(input, weights[3, 3, 3, 3], [0.5 0.25 0], {SAME})
        v1 = Add(v0, input)
        v2 = Slice(v1, [1 1], [-1 -1], [2 3])
        output = Conv(v2, weights[3, 3, 3, 3], [0.5 0.25 0], {SAME})
        """,
        {"w": W, "b": B, "one": np.array([1, 1]), "minus": np.array([-1, -1]), "axes": np.array([2, 3])},
        shape=SHAPE,
    ),
    "a picture that is too small": Case(
        full_size.apply,
        f"""
        a = {VALID} (input, w, b)
        output = Relu (a)
        """,
        f"""
        v0 = Pad(input, [0 0 1 1 0 0 1 1], mode=edge)
        v1 = Conv(v0, weights[3, 3, 3, 3], [0.5 0.25 0], {SAME.replace("pads=[1, 1, 1, 1]", "pads=[0, 0, 0, 0]")})
        output = Relu(v1)
        """,
        {"w": W, "b": B},
        shape=SHAPE,
        from_result=lambda y: y[..., 1:-1, 1:-1],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str) -> None:
    CASES[name].check()


@settings(max_examples=40)
@given(st.data())
def test_transposed_convolutions_of_every_kind(data: st.DataObject) -> None:
    """Kernels, strides, padding on four sides, padding of the output, dilations and groups, against onnxruntime."""
    draw = data.draw
    kernel, dilations = ([draw(st.integers(1, most)) for _ in range(2)] for most in (5, 2))
    stride, group = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2]))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    pads = [draw(st.integers(0, min(reach[i % 2], 6))) for i in range(4)]
    growth = [draw(st.integers(0, stride - 1)) for _ in range(2)]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    constants = {"w": rng.normal(size=(4, 3, *kernel)), "b": rng.normal(size=3 * group)}
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w", "b"],
        ["y"],
        strides=[stride] * 2,
        pads=pads,
        dilations=dilations,
        group=group,
        output_padding=growth,
        kernel_shape=kernel,
    )
    info = helper.make_tensor_value_info
    source = helper.make_graph(
        [node],
        "g",
        [info("x", 1, [1, 4, "h", "w"])],
        [info("y", 1, [1, 3 * group, "a", "b"])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(source, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    x = rng.normal(size=(1, 4, 11, 13)).astype(np.float32)
    graph = Graph(model, x.shape)
    transposed.apply(graph)
    assert all(node.op_type != "ConvTranspose" for node in graph.nodes)
    made = graph.to_model(input_shape=(1, 4, "h", "w"), output_shape=(1, 3 * group, "a", "b"))
    (want,), (got,) = (FloatSession(one).run(None, x) for one in (model, made))
    np.testing.assert_allclose(got, want, atol=1e-4)


def upconv7() -> onnx.ModelProto:
    """As waifu2x enlarges: convolutions without padding, then a transposed one that cuts its own borders off."""
    b = Builder(1)
    x = "input"
    for before, after in ((3, 4), (4, 4), (4, 6)):
        x = b.node("LeakyRelu", b.node("Conv", x, b.const(b.rng.normal(0, 0.3, (after, before, 3, 3)))), alpha=0.1)
    weight = b.const(b.rng.normal(0, 0.2, (6, 3, 4, 4)))
    b.node("ConvTranspose", x, weight, strides=[2, 2], pads=[3] * 4, out="output")
    return b.model(3, 2)


def test_the_picture_is_made_larger_where_convolutions_have_no_padding() -> None:
    model = upconv7()
    sr = normalize(model, value_range="0..1")
    assert (sr.scale, sr.halo) == (2, 4)
    assert "added 4 pixels of its border around the picture, as much as convolutions without padding take away" in (
        sr.changes
    )
    x = np.random.default_rng(0).random((1, 3, 20, 24)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (4, 4), (4, 4)), mode="edge")
    np.testing.assert_allclose(run(sr.model, x), run(model, padded), atol=1e-5)
