"""Operators that make no sense in a super-resolution network are named, with what to do; known branches are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.frontend.spellings import agree
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.unfit import attention
from toolchain.support.errors import ModelError


def finished(b: Builder, x: str) -> onnx.ModelProto:
    b.depth_to_space(x, 2, out="output")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "net",
        [info("input", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [info("output", TensorProto.FLOAT, [1, 3, "rows", "columns"])],
        b.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", b.opset)], ir_version=9)


def begun(opset: int = 18) -> tuple[Builder, str]:
    b = Builder(opset=opset)
    return b, b.node("Relu", b.conv("input", 3, 12, identity=3, repeat=4))


def graph_of(name: str, nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])


def branched(b: Builder, x: str, condition: str) -> str:
    """Relu or a half, by a condition."""
    half = helper.make_node("Constant", [], ["scale"], value_float=0.5)
    one = graph_of("one", [helper.make_node("Relu", [x], ["inner"])], "inner")
    other = graph_of("other", [half, helper.make_node("Mul", [x, "scale"], ["inner"])], "inner")
    return b.node("If", condition, then_branch=one, else_branch=other)


def looped(b: Builder, x: str) -> str:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Relu", ["v"], ["v2"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, None)],
        [info("on", TensorProto.BOOL, []), info("v2", TensorProto.FLOAT, None)],
    )
    return b.node("Loop", b.const(3, np.int64), b.const(True, np.bool_), x, body=body)


def recurrent(b: Builder, x: str) -> str:
    row = b.node("Reshape", x, b.const([1, -1, 12], np.int64))
    weights = [b.const(np.ones((1, 48, 12))), b.const(np.ones((1, 48, 12)))]
    return b.node("Reshape", b.node("LSTM", row, *weights, hidden_size=12), b.node("Shape", x))


def found(b: Builder, x: str) -> str:
    boxes, scores = b.const(np.random.default_rng(0).random((1, 5, 4))), b.const(np.ones((1, 1, 5)))
    kept = b.node("Cast", b.node("NonMaxSuppression", boxes, scores, b.const(3, np.int64)), to=TensorProto.FLOAT)
    return b.node("Add", x, b.node("ReduceMax", kept, keepdims=0))


def text(b: Builder, x: str) -> str:
    words = b.node(
        "StringNormalizer", b.node("Constant", value=helper.make_tensor("s", TensorProto.STRING, [1], [b"a"]))
    )
    return b.node(
        "Add", x, b.node("ReduceMax", b.node("Cast", b.node("Shape", words), to=TensorProto.FLOAT), keepdims=0)
    )


def counted(b: Builder, x: str) -> str:
    return b.node("Add", x, b.node("ReduceMax", b.node("Cast", b.node("NonZero", x), to=TensorProto.FLOAT), keepdims=0))


def conditional(b: Builder, x: str) -> str:
    return branched(b, x, b.node("Greater", b.node("ReduceMean", x, keepdims=0), b.const(0.5)))


def chosen(b: Builder, x: str) -> str:
    """The largest channel of each pixel, as mixtures of experts choose."""
    largest, place = b.node("TopK", x, b.const([1], np.int64), axis=1), b.fresh("place")
    b.nodes[-1].output.append(place)
    return b.node("Mul", x, largest)


UNFIT: dict[str, tuple[Callable[[Builder, str], str], str]] = {
    "Loop": (looped, "with the steps written out"),
    "If": (conditional, "constant conditions"),
    "LSTM": (recurrent, "all pixels of a picture alike"),
    "NonMaxSuppression": (found, "is it a super-resolution network?"),
    "TopK": (chosen, "let all parts of the network run"),
    "NonZero": (counted, "arithmetic on whole tensors"),
    "StringNormalizer": (text, "is it a super-resolution network?"),
    "SplitToSequence": (
        lambda b, x: b.node("ConcatFromSequence", b.node("SplitToSequence", x, axis=1), axis=1),
        "a fixed number of parts",
    ),
    "RandomNormalLike": (lambda b, x: b.node("Add", x, b.node("RandomNormalLike", x, dtype=1)), "network.eval()"),
    "OptionalGetElement": (lambda b, x: b.node("OptionalGetElement", x), "a fixed number of parts"),
}


@pytest.mark.parametrize("operator", UNFIT)
def test_operators_without_a_place_are_named(operator: str) -> None:
    build, hint = UNFIT[operator]
    b, x = begun()
    with pytest.raises(ModelError, match=rf"{operator} 'node_{operator.lower()}_\d+' ") as caught:
        normalize(finished(b, build(b, x)), value_range="0..1")
    assert hint in caught.value.hint


def test_an_operator_of_a_later_opset_is_named() -> None:
    b, x = begun(opset=19)
    offsets = b.node("Concat", x, b.conv(x, 12, 6), axis=1)
    y = b.node("DeformConv", x, b.const(np.ones((12, 12, 3, 3))), offsets, pads=[1, 1, 1, 1])
    with pytest.raises(ModelError, match=r"DeformConv 'node_deformconv_\d+' came after opset 17"):
        normalize(finished(b, y), value_range="0..1")


@pytest.mark.parametrize("condition", [True, False])
def test_a_branch_whose_condition_is_constant_is_taken(condition: bool) -> None:
    b, x = begun()
    constant: Any = b.const(condition, np.bool_)
    y = branched(b, branched(b, x, constant), constant)  # names are of their own in each
    model = finished(b, b.conv(y, 12, 12, identity=12))
    sr = normalize(model, value_range="0..1")
    agree(model, sr)
    assert "took the only branch of 2 conditions that are constant" in sr.changes


def test_a_transformer_that_takes_one_size_is_called_one() -> None:
    b, x = begun()
    tokens = b.node("Reshape", x, b.const([1, 12, 23 * 18], np.int64))
    weights = b.node("Softmax", b.node("MatMul", b.node("Transpose", tokens, perm=[0, 2, 1]), tokens), axis=-1)
    y = b.node("Reshape", b.node("MatMul", tokens, weights), b.const([1, 12, 23, 18], np.int64))
    with pytest.raises(ModelError, match=r"a transformer: MatMul 'node_matmul_\d+' multiplies two tensors") as caught:
        normalize(finished(b, y), value_range="0..1")
    assert "networks of convolutions" in caught.value.hint


def test_a_product_with_constants_makes_no_transformer() -> None:
    b, x = begun()
    y = b.node("Transpose", b.node("MatMul", b.node("Transpose", x, perm=[0, 2, 3, 1]), b.const(np.eye(12))))
    assert attention(finished(b, y).graph) == ""
