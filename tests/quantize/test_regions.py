"""Nothing is rounded within functions of one tensor's numbers, and each of their results is one table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.quantize.helpers import QUICK, picture, pictures, small_model
from tests.quantize.test_qdq import codes_of_onnxruntime
from toolchain.frontend import SRModel
from toolchain.quantize import IntegerReference, quantize
from toolchain.quantize.loss import Comparison
from toolchain.quantize.plan import make_plan
from toolchain.reference.program import parse

node = helper.make_node


def net(*middle: onnx.NodeProto, channels: int = 3) -> SRModel:
    """A convolution that makes "x" of 6 channels, ``middle``, a convolution that reads "y"."""
    rng = np.random.default_rng(2)
    nodes = [
        node("Conv", ["input", "w1", "b1"], ["x"], pads=[1] * 4),
        *middle,
        node("Conv", ["y", "w2", "b2"], ["output"], pads=[1] * 4),
    ]
    constants = {
        "w1": rng.normal(0, 1.0, (6, channels, 3, 3)),
        "b1": rng.normal(0, 1.0, 6),
        "w2": rng.normal(0, 0.1, (3, 6, 3, 3)),
        "b2": np.full(3, 0.5),
        "w3": rng.normal(0, 0.2, (6, 6, 3, 3)),
        "low": np.array(-1.0),
        "high": np.array(1.0),
        "half": np.array(0.5),
        "each": np.linspace(0.5, 2.0, 6).reshape(6, 1, 1),
    }
    return small_model(nodes, {name: np.asarray(value, np.float32) for name, value in constants.items()})


SILU = [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])]
SHARED = [
    node("Sigmoid", ["x"], ["s"]),
    node("Mul", ["x", "s"], ["m"]),
    node("Tanh", ["m"], ["t"]),
    node("Conv", ["t", "w3", "b1"], ["c"], pads=[1] * 4),
    node("Add", ["m", "c"], ["y"]),
]
CASES = {
    "silu": (SILU, {"x", "y"}),
    "clip within": ([node("Clip", ["x", "low", "high"], ["k"]), node("Mul", ["x", "k"], ["y"])], {"x", "y"}),
    "activation beside": (
        [*SILU[:1], node("Mul", ["x", "s"], ["m"]), node("Relu", ["x"], ["r"]), node("Add", ["m", "r"], ["y"])],
        {"x", "y"},
    ),
    "two results": (SHARED, {"x", "m", "t", "y"}),
    "channels of their own": ([node("Mul", ["x", "each"], ["m"]), node("Abs", ["m"], ["y"])], {"x", "y"}),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_only_ends_are_rounded(name: str) -> None:
    middle, rounded = CASES[name]
    sr = net(*middle)
    plan = make_plan(sr)
    assert set(plan.points) == {"input", "output", *rounded}
    assert plan.float_operators == ()
    quantized = quantize(sr, pictures(3), QUICK)
    kinds = [type(step).__name__ for step in parse(quantized.model).steps]
    assert "FloatStep" not in kinds
    assert kinds.count("TableStep") == len(rounded - {"x"}) - (name == "two results")
    pixels = picture(20, 22, 3, 5)
    wanted = codes_of_onnxruntime(quantized.model, pixels, 1.0)
    for tensor, codes in IntegerReference(quantized.model).tensors(pixels).items():
        # 16 bits of float32 sums are no closer than this.
        assert np.abs(codes.astype(int) - wanted[tensor]).max() <= (1 if codes.dtype == np.uint8 else 4), tensor


def test_a_second_result_is_not_made_of_the_first_one_s_codes() -> None:
    model = quantize(net(*SHARED), pictures(3), QUICK).model
    (tanh,) = [item for item in model.graph.node if item.op_type == "Tanh"]
    assert tanh.input[0] == "m"
    (add,) = [item for item in model.graph.node if item.op_type == "Add"]
    assert "m_dequantized" in add.input


def test_what_is_read_by_sums_and_tables_has_16_bits_by_products_8() -> None:
    one = net(node("Tanh", ["x"], ["t"]), node("Add", ["t", "x"], ["y"]))
    assert make_plan(one).exact == {"x"}
    other = [node("Conv", ["t", "w3", "b1"], ["c"], pads=[1] * 4), node("Add", ["c", "x"], ["y"])]
    assert make_plan(net(node("Tanh", ["x"], ["t"]), *other)).exact == {"x"}
    product = [node("Tanh", ["x"], ["t"]), node("Conv", ["x", "w3", "b1"], ["c"], pads=[1] * 4)]
    assert not make_plan(net(*product, node("Add", ["t", "c"], ["y"]))).exact


def test_what_floats_are_made_of_is_no_region() -> None:
    plan = make_plan(net(node("Softmax", ["x"], ["p"], axis=1), node("Sqrt", ["p"], ["y"])))
    assert plan.float_operators == ("Softmax", "Sqrt")
    assert not plan.tables


def test_what_is_read_by_tables_alone_costs_no_accuracy() -> None:
    sr = net(*SILU)
    comparison = Comparison(sr, pictures(3, count=5)[3:])
    models = [quantize(sr, pictures(3), replace(QUICK, bits=bits)).model for bits in ({}, {"x": 8})]
    fine, coarse = (comparison.mean(comparison.errors(model)) for model in models)
    assert fine < 0.9 * coarse
