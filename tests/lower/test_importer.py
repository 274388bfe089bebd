"""Operators that TVM's importer would read otherwise than for pictures of any size."""

from __future__ import annotations

import gc

import numpy as np
import onnx
import pytest
import tvm
from onnx import helper, numpy_helper
from tvm import relax

from tests.lower.nets import Net
from toolchain.kernels.intrinsics import dot_product
from toolchain.lower import import_qdq, lower_model
from toolchain.support.errors import ModelError


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(1,), (1, 1, 1)])
def test_one_slope_for_all_channels(shape: tuple[int, ...], channels: int):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["input", "slope"], ["output"])],
        "g",
        [info("input", 1, [1, channels, "h", "w"])],
        [info("output", 1, [1, channels, "h", "w"])],
        [numpy_helper.from_array(np.full(shape, 0.25, np.float32), "slope")],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    machine = relax.VirtualMachine(tvm.compile(import_qdq(model), "llvm"), tvm.cpu())
    for height, width in ((4, 7), (9, 5)):
        x = np.random.default_rng(width).standard_normal((1, channels, height, width)).astype(np.float32)
        found = machine["main"](tvm.runtime.tensor(x)).numpy()
        np.testing.assert_array_equal(found, np.where(x < 0, x * np.float32(0.25), x))


def test_every_variable_knows_the_operator_it_belongs_to():
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "weight", "bias"], ["c"], name="/first", pads=[1, 1, 1, 1]),
            helper.make_node("Clip", ["c", "low", "high"], ["b"], name="/bent"),
            helper.make_node("DepthToSpace", ["b"], ["output"], blocksize=2),
        ],
        "g",
        [info("input", 1, [1, 1, "h", "w"])],
        [info("output", 1, [1, 1, "H", "W"])],
        [
            numpy_helper.from_array(np.ones((4, 1, 3, 3), np.float32), "weight"),
            numpy_helper.from_array(np.ones(4, np.float32), "bias"),
            numpy_helper.from_array(np.float32(0), "low"),
            numpy_helper.from_array(np.float32(1), "high"),
        ],
    )
    main = import_qdq(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))["main"]
    bound = [binding for block in main.body.blocks for binding in block.bindings]
    origins = dict(main.attrs["origins"])
    assert set(origins) == {binding.var.name for binding in bound}
    kinds = {origins[binding.var.name]: getattr(binding.value, "op", None) for binding in bound}
    assert list(kinds) == ["Conv '/first'", "Clip '/bent'", "DepthToSpace"]
    convolutions = [binding.var.name for binding in bound if getattr(binding.value.op, "name", "") == "relax.nn.conv2d"]
    assert [origins[name] for name in convolutions] == ["Conv '/first'"], "inner calls belong to it too"


def test_a_failed_import_leaves_nothing_on_stderr(capfd: pytest.CaptureFixture[str]):
    info = helper.make_tensor_value_info
    how = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["input"], ["r"]),
            helper.make_node("Resize", ["r", "", "by"], ["output"], "up", **how),
        ],
        "g",
        [info("input", 1, [1, 3, "h", "w"])],
        [info("output", 1, [1, 3, "H", "W"])],
        [numpy_helper.from_array(np.float32([1, 1, 2, 2]), "by")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(ModelError, match="the compiler cannot import the operator Resize 'up'"):
        import_qdq(model)
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_of_a_transformer_it_is_said_that_it_is_one():
    info = helper.make_tensor_value_info
    how = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input", "input"], ["m"], "scores"),
            helper.make_node("Resize", ["m", "", "by"], ["output"], "up", **how),
        ],
        "g",
        [info("input", 1, [1, 3, "h", "h"])],
        [info("output", 1, [1, 3, "H", "W"])],
        [numpy_helper.from_array(np.float32([1, 1, 2, 2]), "by")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(ModelError, match=r"a transformer: MatMul 'scores' .* import the operator Resize 'up'"):
        import_qdq(model)


def test_what_the_compiler_has_no_code_for_is_named():
    net = Net()
    summed = net.node("CumSum", net.conv(net.input, 8).name, net.const(1, np.int64))
    model = net.model(net.conv(net.quantized(summed, 8), 3))
    with pytest.raises(ModelError, match="operator CumSum has neither a kernel nor an operator"):
        lower_model(model, dot_product("avx2"))
