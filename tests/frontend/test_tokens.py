"""Pixels laid in rows, as transformers have them, are pictures where nothing mixes them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.frontend.goldens import Case
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import tokens
from toolchain.frontend.probe import run
from toolchain.quantize.plan import make_plan

CONSTANTS = {
    "flat": np.int64([0, 4, -1]),
    "last": np.int64([0, -1, 4]),
    "gain": np.ones(4, "f4"),
    "offset": np.zeros(4, "f4"),
    "folded": np.int64([1, 4, 12, 10]),
}
AFTER = """
v0 = Transpose(input, perm=[0, 2, 3, 1])
v1 = LayerNormalization(v0, [1 1 1 1], [0 0 0 0], axis=-1)
output = Transpose(v1, perm=[0, 3, 1, 2])
"""
CASES = {
    "laid in a row, then turned": Case(
        tokens.apply,
        """
        row = Reshape (input, flat)
        turned = Transpose <perm = [0, 2, 1]> (row)
        normal = LayerNormalization <axis = 2> (turned, gain, offset)
        back = Transpose <perm = [0, 2, 1]> (normal)
        output = Reshape (back, folded)
        """,
        AFTER,
        CONSTANTS,
    ),
    "turned, then laid in a row": Case(
        tokens.apply,
        """
        turned = Transpose <perm = [0, 2, 3, 1]> (input)
        row = Reshape (turned, last)
        normal = LayerNormalization <axis = -1> (row, gain, offset)
        back = Transpose <perm = [0, 2, 1]> (normal)
        output = Reshape (back, folded)
        """,
        AFTER,
        CONSTANTS,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_before_and_after(case: Case) -> None:
    case.check()


def network(*, mixed: bool = False) -> onnx.ModelProto:
    """A block of tokens with a normalization and a perceptron, in a residual branch, as PyTorch exports it."""
    b = Builder()
    x = b.conv("input", 3, 8, identity=3)
    sizes = b.node("Shape", x)
    y = b.node("Transpose", b.node("Reshape", x, b.const([0, 8, -1], np.int64)), perm=[0, 2, 1])
    y = b.node("LayerNormalization", y, b.const(np.full(8, 0.3)), b.const(np.full(8, 0.1)), axis=-1)
    wide = b.node("Relu", b.node("MatMul", y, b.const(b.rng.normal(0, 0.3, (8, 16)))))
    y = b.node("Add", y, b.node("MatMul", wide, b.const(b.rng.normal(0, 0.3, (16, 8)))))
    if mixed:
        y = b.node("Softmax", y, axis=1)
    y = b.node("Reshape", b.node("Transpose", y, perm=[0, 2, 1]), sizes)
    y = b.node("Add", x, b.conv(y, 8, 8, noise=0.1))
    b.depth_to_space(b.conv(y, 8, 12, identity=3, repeat=4), 2, out="output")
    return b.model(3, 2)


def test_all_of_it_is_integer_and_looks_at_one_pixel() -> None:
    model = network()
    sr = normalize(model, value_range="0..1")
    assert make_plan(sr).float_operators == ()
    assert sr.halo == 3
    picture = np.random.default_rng(0).random((1, 3, 19, 26)).astype(np.float32)
    assert np.allclose(run(sr.model, picture), run(model, picture), atol=1e-5)


def test_tokens_that_are_mixed_stay() -> None:
    model = network(mixed=True)
    assert not any("rows of pixels" in said for said in normalize(model, value_range="0..1").changes)
