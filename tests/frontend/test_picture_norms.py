"""Normalization over the whole picture becomes means and products, which kernels compute."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.frontend.goldens import Case
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import picture_norms
from toolchain.frontend.probe import run
from toolchain.quantize.plan import make_plan

TAP = "dilations=[1, 1], group={}, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1]"
AFTER = """
v0 = GlobalAveragePool(input)
v1 = Conv(v0, {weights}, [0 0 0 0], {tap})
v2 = Add(input, v1)
v3 = Mul(v2, v2)
v4 = GlobalAveragePool(v3)
"""
EACH = AFTER.format(weights="[-1 -1 -1 -1]", tap=TAP.format(4))
GROUPS = AFTER.format(weights="weights[4, 4, 1, 1]", tap=TAP.format(1))

CASES = {
    "of each channel": Case(
        picture_norms.apply,
        "output = InstanceNormalization <epsilon = 0.25> (input, gain, offset)",
        f"""{EACH}v5 = Add(v4, [0.25])
v6 = Sqrt(v5)
v7 = Reciprocal(v6)
v8 = Mul(v7, [3 3 3 3])
v9 = Mul(v2, v8)
output = Add(v9, [1 2 3 4])
""",
        {"gain": np.full(4, 3, "f4"), "offset": np.float32([1, 2, 3, 4])},
    ),
    "of groups, laid in rows": Case(
        picture_norms.apply,
        """
        rows = Reshape (input, groups)
        normal = InstanceNormalization <epsilon = 0.25> (rows, gain, offset)
        shape = Shape (input)
        output = Reshape (normal, shape)
        """,
        f"""{GROUPS}v5 = Conv(v4, weights[4, 4, 1, 1], [0 0 0 0], {TAP.format(1)})
v6 = Add(v5, [0.25])
v7 = Sqrt(v6)
v8 = Reciprocal(v7)
output = Mul(v2, v8)
""",
        {"groups": np.int64([0, 2, -1]), "gain": np.ones(2, "f4"), "offset": np.zeros(2, "f4")},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_before_and_after(case: Case) -> None:
    case.check()


def normed(kind: str, groups: int = 2) -> onnx.ModelProto:
    """A network with a normalization in its middle."""
    b, numbers = Builder(), np.random.default_rng(1)
    x = b.conv("input", 3, 8, identity=3)
    if kind == "instance":
        gains, offsets = numbers.uniform(0.1, 0.3, 8), numbers.normal(0, 0.1, 8)
        y = b.node("InstanceNormalization", x, b.const(gains), b.const(offsets), epsilon=1e-3)
    else:
        y = b.node("Reshape", x, b.const([0, groups, -1], np.int64))
        y = b.node("InstanceNormalization", y, b.const(np.ones(groups)), b.const(np.zeros(groups)))
        y = b.node("Reshape", y, b.node("Shape", x))
        y = b.node("Mul", y, b.const(numbers.uniform(0.1, 0.3, (8, 1, 1))))
    y = b.conv(b.node("Relu", y), 8, 8, noise=0.1)
    b.depth_to_space(b.conv(b.node("Add", x, y), 8, 12, identity=3, repeat=4), 2, out="output")
    return b.model(3, 2)


@pytest.mark.parametrize(("kind", "groups"), [("instance", 0), ("groups", 1), ("groups", 2), ("groups", 8)])
def test_it_gives_the_same_and_is_integer(kind: str, groups: int) -> None:
    model = normed(kind, groups)
    sr = normalize(model, value_range="0..1")
    assert "wrote 1 normalizations over the picture as means and products" in sr.changes
    assert make_plan(sr).float_operators == ()
    picture = np.random.default_rng(0).random((1, 3, 37, 22)).astype(np.float32)
    assert np.allclose(run(sr.model, picture), run(model, picture), atol=1e-5)


def test_what_the_variance_is_made_of_has_16_bits() -> None:
    plan = make_plan(normalize(normed("instance"), value_range="0..1"))
    squares = {name for name in plan.points if name.endswith("_square")}
    assert squares
    assert {plan.group[name] for name in squares} <= plan.exact


def test_one_whose_gains_are_computed_is_left() -> None:
    b = Builder()
    x = b.conv("input", 3, 8, identity=3)
    gains = b.node("Reshape", b.node("GlobalAveragePool", x), b.const([8], np.int64))
    y = b.node("InstanceNormalization", x, gains, b.const(np.zeros(8)))
    b.depth_to_space(b.conv(y, 8, 12, identity=3, repeat=4), 2, out="output")
    sr = normalize(b.model(3, 2), value_range="0..1")
    assert "InstanceNormalization" in make_plan(sr).float_operators
