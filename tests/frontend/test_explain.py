"""What onnx and onnxruntime refuse is said in our words: the operator by name, the reason, what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend import load_model, normalize
from toolchain.frontend.explain import explain
from toolchain.support.errors import ModelError

_FOREIGN = ("onnxruntime", "/core/", "ONNXRuntimeError", "Status Message", "ShapeInference", "schema", "Context:", "::")


def network(nodes: list[onnx.NodeProto], **constants: Any) -> onnx.ModelProto:
    """``nodes`` from "input" to "x", then a convolution "up" and a pixel shuffle."""
    constants = {"w": np.zeros((12, 3, 3, 3), np.float32), **constants}
    tail = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="up", pads=[1] * 4),
        helper.make_node("DepthToSpace", ["c"], ["output"], name="shuffle", blocksize=2),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [*nodes, *tail],
        "g",
        [info("input", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [info("output", TensorProto.FLOAT, [1, 3, "H", "W"])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(op: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, ["input", *inputs], ["x"], name="odd", **attributes)


CASES: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "unknown operator": (lambda: network([node("Foo")]), "operator Foo 'odd' is not known"),
    "unknown attribute": (lambda: network([node("Relu", foo=1)]), "Relu 'odd' has an attribute that is not its own"),
    "no attribute": (lambda: network([node("Cast")]), "Cast 'odd' lacks an attribute"),
    "too few inputs": (lambda: network([node("Conv")]), "Conv 'odd' has a wrong number of inputs"),
    "nothing makes it": (lambda: network([node("Add", "nowhere")]), "Add 'odd' reads a tensor that nothing makes"),
    "made twice": (lambda: network([node("Relu"), node("Relu")]), "makes a tensor that another one makes"),
    "dilations": (
        lambda: network([node("Conv", "v", pads=[1] * 4, dilations=[1])], v=np.zeros((3, 3, 3, 3), "f4")),
        "Conv 'odd' has an attribute of the wrong length",
    ),
    "channels": (
        lambda: network([node("Conv", "v", pads=[1] * 4)], v=np.zeros((3, 5, 3, 3), "f4")),
        "Conv 'odd' has weights for another number of channels",
    ),
    "types": (lambda: network([node("Add", "d")], d=np.int64(1)), "Add 'odd' is given numbers of types"),
    "broadcast": (
        lambda: network([node("Add", "d")], d=np.zeros((1, 4, 1, 1), "f4")),
        "Add 'odd' is given tensors whose shapes do not fit",
    ),
    "baked size": (
        lambda: network([node("Reshape", "s")], s=np.array([1, 3, 24, 24])),
        "Reshape 'odd' is asked for a shape that its input does not fill",
    ),
    "slopes": (
        lambda: network([node("PRelu", "s")], s=np.ones(32, "f4")),
        "PRelu 'odd' has slopes that do not lie along the channels",
    ),
    "concat": (
        lambda: network([node("Concat", "d", axis=0)], d=np.zeros((1, 3, 8, 8), "f4")),
        "Concat 'odd' joins tensors of different sizes",
    ),
}


def test_a_network_that_halves_pictures_is_told_so(tmp_path: Path):
    for made, what in (
        (network([node("SpaceToDepth", blocksize=2)]), "cannot divide a picture of this size into blocks"),
        (network([node("Concat", "d", axis=0)], d=np.zeros((1, 3, 8, 8), "f4")), "joins tensors of different sizes"),
    ):
        (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
        with pytest.raises(ModelError) as caught:
            normalize(load_model(tmp_path / "m.onnx"))
        assert what in str(caught.value)
        assert "cannot be deployed" in str(caught.value.hint)


@pytest.mark.parametrize("case", CASES)
def test_the_operator_is_named_in_our_words(case: str, tmp_path: Path):
    make, sentence = CASES[case]
    (tmp_path / "m.onnx").write_bytes(make().SerializeToString())
    with pytest.raises(ModelError) as caught:
        normalize(load_model(tmp_path / "m.onnx"))
    assert sentence in caught.value.message
    assert caught.value.hint
    assert not [word for word in _FOREIGN if word in str(caught.value).replace(str(tmp_path), "")]


def test_operators_without_a_name_are_called_after_their_result():
    model = network([node("Reshape", "s")], s=np.array([1, 3, 24, 24]))
    for one in model.graph.node:
        one.name = ""
    with pytest.raises(ModelError, match="operator Reshape 'x' is asked for"):
        normalize(model)


def test_what_is_not_known_is_not_passed_on():
    reason = explain(RuntimeError("/src/core/thing.cc:12 Frobnicate: axis == 3 was false"))
    assert str(reason) == "it breaks a rule of ONNX"
    reason = explain(RuntimeError("Non-zero status code returned while running Foo node. Name:'a/b' Status: /x.cc"))
    assert str(reason) == "operator Foo 'a/b' is refused"
    assert reason.hint
