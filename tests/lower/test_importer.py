"""Operators that TVM's importer would read otherwise than for pictures of any size."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tvm
from onnx import helper, numpy_helper
from tvm import relax

from toolchain.lower import import_qdq


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
