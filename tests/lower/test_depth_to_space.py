"""What reshapes and transposes at the end of a network do to pixels."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm import relax, tirx

from toolchain.kernels.spec import DepthToSpace
from toolchain.lower import import_qdq
from toolchain.lower.depth_to_space import evaluate, pixel_table, trace
from toolchain.reference.interpreter import depth_to_space


def imported(nodes: list[onnx.NodeProto], channels: int, *constants: onnx.TensorProto) -> relax.Function:
    """Float nodes from "input" to "output" as a Relax function."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, f"{name}_h", f"{name}_w"])
        for name, count in (("input", channels), ("output", None))
    ]
    graph = helper.make_graph(nodes, "moves", ends[:1], ends[1:], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return import_qdq(model)["main"]


def table(nodes: list[onnx.NodeProto], channels: int, *constants: onnx.TensorProto) -> DepthToSpace | None:
    """The pixel table of float nodes from "input" to "output"."""
    function = imported(nodes, channels, *constants)
    definitions = {binding.var: binding.value for block in function.body.blocks for binding in block.bindings}
    start, calls = trace(definitions, function.body.body)
    assert start.same_as(function.params[0])
    shape = function.params[0].ty.shape
    return pixel_table(calls, shape, shape[2], shape[3])


def shuffle(source: str, target: str, scale: int, mode: str) -> onnx.NodeProto:
    return helper.make_node("DepthToSpace", [source], [target], blocksize=scale, mode=mode)


def apply(found: DepthToSpace, codes: np.ndarray) -> np.ndarray:
    _, height, width = codes.shape
    out = np.zeros((found.channels, height * found.scale, width * found.scale), np.uint8)
    for index, slot in enumerate(found.table):
        dy, dx, channel = np.unravel_index(index, (found.scale, found.scale, found.channels))
        out[channel, dy :: found.scale, dx :: found.scale] = codes[slot]
    return out


CODES = np.random.default_rng(0).integers(0, 256, (64, 4, 7), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 1), (2, 3), (3, 3), (4, 3)])
def test_depth_to_space(scale: int, channels: int, mode: str):
    count = scale * scale * channels
    found = table([shuffle("input", "output", scale, mode)], count)
    assert (found.scale, found.channels) == (scale, channels)
    np.testing.assert_array_equal(apply(found, CODES[:count]), depth_to_space(CODES[:count], scale, mode))


@pytest.mark.parametrize("modes", [("DCR", "CRD"), ("CRD", "CRD")])
def test_two_shuffles_in_a_row(modes: tuple[str, str]):
    found = table([shuffle("input", "x", 2, modes[0]), shuffle("x", "output", 2, modes[1])], 48)
    wanted = depth_to_space(depth_to_space(CODES[:48], 2, modes[0]), 2, modes[1])
    assert found.scale == 4
    np.testing.assert_array_equal(apply(found, CODES[:48]), wanted)


def test_nothing_at_all_is_a_table_too():
    h, w = (tirx.Var(name, "int64") for name in "hw")
    assert pixel_table([], (1, 3, h, w), h, w) == DepthToSpace(1, 3, (0, 1, 2))


@pytest.mark.parametrize("perm", [[0, 1, 3, 2], [0, 2, 1, 3], [1, 0, 2, 3]])
def test_other_transposes_are_no_shuffle(perm: list[int]):
    assert table([helper.make_node("Transpose", ["input"], ["output"], perm=perm)], 4) is None


def test_a_shuffle_with_another_transpose_behind_it_is_none():
    nodes = [shuffle("input", "x", 2, "DCR"), helper.make_node("Transpose", ["x"], ["output"], perm=[0, 1, 3, 2])]
    assert table(nodes, 12) is None


def test_a_flat_reshape_is_none():
    shape = numpy_helper.from_array(np.array([1, 4, -1, 1]), "shape")
    assert table([helper.make_node("Reshape", ["input", "shape"], ["output"])], 4, shape) is None


def test_evaluate():
    h, w = (tirx.Var(name, "int64") for name in "hw")
    assert evaluate(7, {}) == 7
    assert evaluate(h * 2 + tirx.floordiv(w + 15, 16), {h: 3, w: 17}) == 8


def test_trace_stops_at_arithmetic():
    function = imported([helper.make_node("Relu", ["input"], ["x"]), shuffle("x", "output", 2, "DCR")], 12)
    definitions = {binding.var: binding.value for block in function.body.blocks for binding in block.bindings}
    start, calls = trace(definitions, function.body.body)
    assert definitions[start].op.name == "relax.nn.relu"
    assert [call.op.name for call in calls] == ["relax.reshape", "relax.permute_dims", "relax.reshape"]
