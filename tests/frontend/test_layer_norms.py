"""Normalization over channels, in whatever spelling, is one operator between two transposes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.frontend.goldens import Case
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import layer_norms
from toolchain.frontend.probe import run
from toolchain.quantize.plan import make_plan

WRITTEN_OUT = """
mean = ReduceMean <axes = [1], keepdims = 1> (input)
far = Sub (input, mean)
square = Pow (far, two)
variance = ReduceMean <axes = [1], keepdims = 1> (square)
total = Add (variance, epsilon)
root = Sqrt (total)
{quotient}
scaled = Mul (gain, quotient)
output = Add (scaled, offset)
"""
DIVIDED = "quotient = Div (far, root)"
CONSTANTS = {"two": np.float32(2), "epsilon": np.float32(0.25), "gain": np.full((4, 1, 1), 3, "f4")}
AFTER = """
v0 = Transpose(input, perm=[0, 2, 3, 1])
v1 = LayerNormalization(v0, [3 3 3 3], {offset}, axis=-1, epsilon=0.25)
output = Transpose(v1, perm=[0, 3, 1, 2])
"""
OFFSET = np.arange(4, dtype="f4").reshape(1, 4, 1, 1)

CASES = {
    "a mean, a difference, its squares' mean, a root, a quotient": Case(
        layer_norms.apply,
        WRITTEN_OUT.format(quotient=DIVIDED),
        AFTER.format(offset="[0 1 2 3]"),
        {**CONSTANTS, "offset": OFFSET},
    ),
    "a difference made twice, and the root's inverse": Case(
        layer_norms.apply,
        WRITTEN_OUT.format(
            quotient="inverse = Reciprocal (root)\nagain = Sub (input, mean)\nquotient = Mul (inverse, again)"
        ),
        AFTER.format(offset="[7 7 7 7]"),
        {**CONSTANTS, "offset": np.float32(7)},
    ),
    "between transposes": Case(
        layer_norms.apply,
        """
        across = Transpose <perm = [0, 2, 3, 1]> (input)
        normal = LayerNormalization <axis = -1> (across, gain)
        output = Transpose <perm = [0, 3, 1, 2]> (normal)
        """,
        """
        v0 = Transpose(input, perm=[0, 2, 3, 1])
        v1 = LayerNormalization(v0, [1 2 3 4], [0 0 0 0], axis=-1)
        output = Transpose(v1, perm=[0, 3, 1, 2])
        """,
        {"gain": np.float32([1, 2, 3, 4])},
    ),
    "over rows": Case(
        layer_norms.apply,
        """
        mean = ReduceMean <axes = [2], keepdims = 1> (input)
        far = Sub (input, mean)
        square = Mul (far, far)
        variance = ReduceMean <axes = [2], keepdims = 1> (square)
        total = Add (variance, epsilon)
        root = Sqrt (total)
        output = Div (far, root)
        """,
        """
        v0 = ReduceMean(input, axes=[2], keepdims=1)
        v1 = Sub(input, v0)
        v2 = Mul(v1, v1)
        v3 = ReduceMean(v2, axes=[2], keepdims=1)
        v4 = Add(v3, [0.25])
        v5 = Sqrt(v4)
        output = Div(v1, v5)
        """,
        {"epsilon": np.float32(0.25)},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_graph(case: Case):
    case.check()


def network(spelling: str, channels: int = 10) -> onnx.ModelProto:
    """A block in which a normalized tensor goes through convolutions, as in NAFNet and SAFMN."""
    b = Builder()
    x = b.conv("input", 3, channels, identity=3)
    gain, offset = b.rng.uniform(0.5, 1.5, channels), b.rng.normal(0, 0.2, channels)
    if spelling == "operator":
        y = b.node("Transpose", x, perm=[0, 2, 3, 1])
        y = b.node("LayerNormalization", y, b.const(gain), b.const(offset), axis=3, epsilon=1e-6)
        y = b.node("Transpose", y, perm=[0, 3, 1, 2])
    else:
        far = b.node("Sub", x, b.node("ReduceMean", x, axes=[1]))
        variance = b.node("ReduceMean", b.node("Mul", far, far), axes=[1])
        y = b.node("Div", far, b.node("Sqrt", b.node("Add", variance, b.const(1e-6))))
        y = b.node("Mul", y, b.const(gain.reshape(-1, 1, 1)))
        y = b.node("Add", y, b.const(offset.reshape(-1, 1, 1)))
    y = b.node("Add", x, b.conv(b.node("Relu", b.conv(y, channels, channels)), channels, channels))
    b.depth_to_space(b.conv(y, channels, 12, identity=3, repeat=4), 2, out="output")
    return b.model(3, 2)


@pytest.mark.parametrize("spelling", ["operator", "written out"])
def test_all_of_it_is_integer_and_looks_at_one_pixel(spelling: str):
    model = network(spelling)
    sr = normalize(model, value_range="0..1")
    assert sr.halo == 4
    plan = make_plan(sr)
    assert plan.float_operators == ()
    normal = next(node for node in sr.model.graph.node if node.op_type == "LayerNormalization")
    assert normal.output[0] not in plan.points
    x = np.random.default_rng(0).random((1, 3, 12, 10)).astype(np.float32)
    np.testing.assert_allclose(run(sr.model, x), run(model, x), atol=1e-5)


def test_what_else_reads_a_part_of_it_keeps_it_float():
    model = network("operator")
    inner = next(node for node in model.graph.node if node.op_type == "LayerNormalization").output[0]
    last = model.graph.node[-1]
    b = Builder(1)
    far = b.node("ReduceMax", b.node("Softmax", inner, axis=3), axes=[3])  # (1, h, w, 1)
    gate = b.node("Transpose", far, perm=[0, 3, 1, 2])
    sizes = b.node("Resize", gate, "", b.const([1, 1, 2, 2]), mode="nearest")
    b.node("Mul", last.output[0], sizes, out="gated")
    model.graph.node.extend(b.nodes)
    model.graph.initializer.extend(b.initializers)
    model.graph.output[0].name = "gated"
    assert "LayerNormalization" in make_plan(normalize(model, value_range="0..1")).float_operators
