"""Division by the root of a pixel's mean square, in whatever spelling, is normalization of it and its negative."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.goldens import Case
from tests.frontend.spellings import agree
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import rms_norms
from toolchain.quantize.plan import make_plan

SQUARES = """
square = Mul (input, input)
mean = ReduceMean <axes = [1], keepdims = 1> (square)
total = Add (mean, epsilon)
root = Sqrt (total)
"""
AFTER = """
v0 = Conv(input, weights[8, 4, 1, 1], dilations=[1, 1], group=1, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1])
v1 = Transpose(v0, perm=[0, 2, 3, 1])
v2 = LayerNormalization(v1, [{gains} 0 0 0 0], [{offsets} 0 0 0 0], axis=-1, epsilon={epsilon})
v3 = Transpose(v2, perm=[0, 3, 1, 2])
output = Gather(v3, [0 1 2 3], axis=1)
"""
GAIN = np.arange(1, 5, dtype="f4").reshape(4, 1, 1)

CASES = {
    "a mean of squares, a root, a quotient, a gain": Case(
        rms_norms.apply,
        SQUARES + "quotient = Div (input, root)\noutput = Mul (quotient, gain)",
        AFTER.format(gains="1 2 3 4", offsets="0 0 0 0", epsilon=0.25),
        {"epsilon": np.float32(0.25), "gain": GAIN},
    ),
    "the root's inverse, and an offset": Case(
        rms_norms.apply,
        SQUARES + "inverse = Reciprocal (root)\nquotient = Mul (inverse, input)\noutput = Add (quotient, gain)",
        AFTER.format(gains="1 1 1 1", offsets="1 2 3 4", epsilon=0.25),
        {"epsilon": np.float32(0.25), "gain": GAIN},
    ),
    "a length times a half, and a little": Case(
        rms_norms.apply,
        """
        length = ReduceL2 <axes = [1], keepdims = 1> (input)
        rms = Mul (length, half)
        root = Add (rms, epsilon)
        output = Div (input, root)
        """,
        AFTER.format(gains="1 1 1 1", offsets="0 0 0 0", epsilon=2.0**-48),
        {"half": np.float32(0.5), "epsilon": np.float32(2.0**-24)},
    ),
    "a length that has a lower limit, for all channels": Case(
        rms_norms.apply,
        """
        length = ReduceL2 <axes = [1], keepdims = 1> (input)
        root = Clip (length, epsilon)
        each = Gather <axis = 1> (root, zeros)
        output = Div (input, each)
        """,
        AFTER.format(gains="0.5 0.5 0.5 0.5", offsets="0 0 0 0", epsilon=2.0**-42),
        {"zeros": np.zeros(4, np.int64), "epsilon": np.float32(2.0**-20)},
    ),
    "another tensor divided": Case(
        rms_norms.apply,
        SQUARES + "other = Relu (input)\noutput = Div (other, root)",
        """
        v0 = Relu(input)
        v1 = Mul(input, input)
        v2 = ReduceMean(v1, axes=[1], keepdims=1)
        v3 = Add(v2, [0.25])
        v4 = Sqrt(v3)
        output = Div(v0, v4)
        """,
        {"epsilon": np.float32(0.25)},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_graph(case: Case):
    case.check()


@pytest.mark.parametrize("way", ["of squares", "of a length"])
def test_all_of_it_is_integer_and_looks_at_one_pixel(way: str):
    b = Builder()
    x = b.conv("input", 3, 10, identity=3)
    if way == "of squares":
        mean = b.node("ReduceMean", b.node("Pow", x, b.const(2.0)), axes=[1])
        root = b.node("Sqrt", b.node("Add", mean, b.const(1e-6)))
    else:
        root = b.node("Clip", b.node("ReduceL2", x, axes=[1]), b.const(1e-12))
    y = b.node("Mul", b.node("Div", x, root), b.const(b.rng.uniform(0.5, 1.5, (10, 1, 1))))
    y = b.node("Add", x, b.conv(b.node("Relu", b.conv(y, 10, 10)), 10, 10))
    b.depth_to_space(b.conv(y, 10, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    agree(model, sr)
    assert sr.halo == 4
    assert make_plan(sr).float_operators == ()
