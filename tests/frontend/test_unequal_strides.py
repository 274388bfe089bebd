"""Strides that differ in rows and columns, and quotients: the graph before and after, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.goldens import Case
from tests.frontend.spellings import agree
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import quotients, unequal_strides

RNG = np.random.default_rng(0)
W = RNG.normal(0, 1, (4, 4, 3, 3)).astype("f4")
V = RNG.normal(0, 1, (4, 4, 1, 1)).astype("f4")
KEPT = "coordinate_transformation_mode=asymmetric, mode=nearest, nearest_mode=floor"


def steps(strides: str, step: int, keep: str, pads: str) -> Case:
    """A convolution by unequal strides, and what it becomes."""
    words = "dilations = [1, 1], kernel_shape = [3, 3], group = 1"
    return Case(
        unequal_strides.apply,
        f"output = Conv <strides = [{strides}], pads = [1, 0, 1, 2], {words}> (input, w)",
        f"""
        v0 = Conv(input, weights[4, 4, 3, 3], dilations=[1, 1], group=1, kernel_shape=[3, 3], pads=[{pads}], """
        f"""strides=[{step}, {step}])
        output = Resize(v0, [1 1 {keep}], {KEPT})
        """,
        {"w": W},
    )


CASES = {
    "every second row": steps("2, 1", 1, "0.5 1", "1, 0, 2, 2"),
    "every second row and fourth column": steps("2, 4", 2, "1 0.5", "1, 0, 1, 4"),
    "every third column": steps("1, 3", 1, "1 0.333333", "1, 0, 1, 4"),
    "a quotient is a product": Case(
        quotients.apply,
        """
        c = Conv <kernel_shape = [1, 1]> (input, w)
        s = Sigmoid (c)
        d = Add (s, half)
        output = Div (input, d)
        """,
        """
        v0 = Conv(input, weights[4, 4, 1, 1], kernel_shape=[1, 1])
        v1 = Sigmoid(v0)
        v2 = Add(v1, [0.5])
        v3 = Reciprocal(v2)
        output = Mul(input, v3)
        """,
        {"w": V, "half": np.float32(0.5)},
    ),
    "a function of one tensor is no quotient of two": Case(
        quotients.apply,
        """
        m = Abs (input)
        d = Add (m, half)
        output = Div (input, d)
        """,
        """
        v0 = Abs(input)
        v1 = Add(v0, [0.5])
        output = Div(input, v1)
        """,
        {"half": np.float32(0.5)},
    ),
    "what a float operator makes divides in float": Case(
        quotients.apply,
        """
        m = Conv <kernel_shape = [1, 1]> (input, w)
        d = ReduceSumSquare <axes = [1]> (m)
        output = Div (input, d)
        """,
        """
        v0 = Conv(input, weights[4, 4, 1, 1], kernel_shape=[1, 1])
        v1 = ReduceSumSquare(v0, axes=[1])
        output = Div(input, v1)
        """,
        {"w": V},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str):
    CASES[name].check()


def test_a_transposed_convolution_spreads():
    b = Builder(2)
    x = b.conv("input", 3, 8)
    weight = b.const(b.rng.normal(0, 0.2, (8, 8, 3, 5)), stem="weight")
    words = {"strides": [2, 3], "pads": [1, 1, 0, 2], "output_padding": [0, 1]}
    x = b.node("ConvTranspose", x, weight, **words)
    weight = b.const(b.rng.normal(0, 0.2, (8, 3, 6, 2)), stem="weight")
    b.node("ConvTranspose", x, weight, strides=[3, 2], pads=[2, 0, 1, 0], out="output")
    model = b.model(3, 6)
    sr = normalize(model, value_range="0..1")
    assert "ConvTranspose" not in {node.op_type for node in sr.model.graph.node}
    agree(model, sr)


@pytest.mark.parametrize("kernel", [1, 3])
def test_pooling_by_unequal_strides(kernel: int):
    b = Builder(2)
    x = b.node("MaxPool", b.conv("input", 3, 8), kernel_shape=[3, kernel], strides=[2, 1], pads=[1, kernel // 2] * 2)
    x = b.node("MaxPool", x, kernel_shape=[kernel, 3], strides=[1, 2], pads=[kernel // 2, 1] * 2)
    b.depth_to_space(b.conv(x, 8, 48), 4, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert {tuple(a.ints) for n in sr.model.graph.node for a in n.attribute if a.name == "strides"} == {(1, 1)}
    agree(model, sr, size=(14, 20))
