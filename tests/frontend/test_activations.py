from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder
from toolchain.frontend import normalize

SPELLINGS = ("tf2onnx", "keras", "difference", "max", "abs mean", "relu of negative", "minimum")


def spelled(b: Builder, x: str, spelling: str, slope: np.ndarray) -> str:
    """PReLU(x) without PRelu; ``slope`` (1, C, 1, 1)."""
    s = b.const(slope)
    match spelling:
        case "tf2onnx":
            twice = b.node("Sub", x, b.node("Abs", x))
            return b.node("Add", b.node("Relu", x), b.node("Mul", twice, b.const(slope / 2)))
        case "keras":
            return b.node("Add", b.node("Relu", x), b.node("Mul", b.node("Neg", s), b.node("Relu", b.node("Neg", x))))
        case "relu of negative":
            return b.node("Sub", b.node("Relu", x), b.node("Mul", s, b.node("Relu", b.node("Neg", x))))
        case "difference":
            return b.node("Add", b.node("Mul", b.node("Sub", x, b.node("Relu", x)), s), b.node("Relu", x))
        case "max":
            return b.node("Max", x, b.node("Mul", x, s))
        case "minimum":
            zero = b.const(0.0)
            return b.node("Add", b.node("Max", x, zero), b.node("Mul", s, b.node("Min", zero, x)))
        case _:
            half = b.const(0.5)
            positive = b.node("Mul", b.node("Add", x, b.node("Abs", x)), half)
            return b.node("Add", positive, b.node("Mul", b.node("Mul", s, b.node("Sub", x, b.node("Abs", x))), half))


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_prelu_in_other_words(spelling: str, uniform: bool) -> None:
    b = Builder(3)
    slope = np.full((1, 8, 1, 1), 0.25) if uniform else b.rng.uniform(0.05, 0.5, (1, 8, 1, 1))
    x = spelled(b, b.conv("input", 3, 8, identity=3), spelling, slope)
    # Behind an addition of two values, too.
    other = b.node("Relu", b.conv("input", 3, 8))
    x = spelled(b, b.node("Add", b.conv(x, 8, 8), other), spelling, slope)
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "PRelu", "Conv", "Conv", "Relu", "Add", "PRelu", "Conv", "DepthToSpace"]
    weights = {t.name: numpy_helper.to_array(t) for t in sr.model.graph.initializer}
    for node in sr.model.graph.node:
        if node.op_type == "PRelu":
            np.testing.assert_allclose(weights[node.input[1]], slope[0], rtol=1e-5)
    agree(model, sr)


def test_relu_in_other_words() -> None:
    b = Builder(3)
    x = b.node("Max", b.const(0.0), b.conv("input", 3, 8, identity=3))
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    agree(model, sr)


def test_a_plain_residual_is_no_activation() -> None:
    b = Builder(3)
    x = b.conv("input", 3, 8, identity=3)
    x = b.node("Add", b.node("Relu", x), x)
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Relu", "Add", "Conv", "DepthToSpace"]
    agree(model, sr)


@pytest.mark.parametrize("slope", [0.2, [0.2], np.full((8, 1, 1), 0.2), np.full((1, 8, 1, 1), 0.2)], ids=str)
def test_slopes_of_any_shape(slope: object) -> None:
    b = Builder(3)
    x = b.node("PRelu", b.conv("input", 3, 8, identity=3), b.const(slope))
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    shapes = {t.name: tuple(t.dims) for t in sr.model.graph.initializer}
    prelu = next(n for n in sr.model.graph.node if n.op_type == "PRelu")
    assert shapes[prelu.input[1]] == (8, 1, 1)
    agree(model, sr)
