"""Work and size of networks that can be counted by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolchain.reference.network import describe_network


def conv_net(*, transposed: bool = False, groups: int = 1) -> onnx.ModelProto:
    """conv3x3 3 -> 8 (groups of the second), conv3x3 8 -> 12, depth to space by 2; or a transposed 4x4 stride-2 end."""
    constants = [
        numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w0"),
        numpy_helper.from_array(np.ones(8, np.float32), "b0"),
    ]
    nodes = [helper.make_node("Conv", ["input", "w0", "b0"], ["a"], pads=[1] * 4)]
    if transposed:
        constants.append(numpy_helper.from_array(np.ones((8, 3, 4, 4), np.float32), "w1"))
        nodes.append(helper.make_node("ConvTranspose", ["a", "w1"], ["output"], pads=[1] * 4, strides=[2, 2]))
    else:
        constants.append(numpy_helper.from_array(np.ones((12, 8 // groups, 3, 3), np.float32), "w1"))
        nodes.append(helper.make_node("Conv", ["a", "w1"], ["b"], pads=[1] * 4, group=groups))
        nodes.append(helper.make_node("DepthToSpace", ["b"], ["output"], blocksize=2))
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, "h2", "w2"]),
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize("groups", [1, 4])
def test_convolutions(groups: int):
    network = describe_network(conv_net(groups=groups))
    assert [layer.macs_per_pixel for layer in network.layers] == [3 * 8 * 9, 8 * 12 * 9 / groups]
    assert network.parameters == 8 * 3 * 9 + 8 + 12 * 8 * 9 // groups
    assert network.layers[1].groups == groups
    assert network.peak_values_per_pixel == 24  # b and the output made of it
    assert dict(network.operators) == {"Conv": 2, "DepthToSpace": 1}


def test_transposed_convolution_counts_its_input_positions():
    network = describe_network(conv_net(transposed=True))
    assert network.layers[1].macs_per_pixel == 8 * 3 * 16
    assert network.layers[1].operator == "ConvTranspose"


def test_quantized_network():
    x = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    y = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 8, "height", "width"])
    constants = [
        numpy_helper.from_array(np.float32(1 / 255), "s"),
        numpy_helper.from_array(np.uint8(3), "z"),
        numpy_helper.from_array(np.ones((8, 3, 3, 3), np.int8), "w"),
        numpy_helper.from_array(np.ones(8, np.float32), "sw"),
        numpy_helper.from_array(np.zeros(8, np.int8), "zw"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "s", "z"], ["q0"]),
        helper.make_node("DequantizeLinear", ["q0", "s", "z"], ["d0"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["dw"], axis=0),
        helper.make_node("Conv", ["d0", "dw"], ["c"], pads=[1] * 4),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["q1"]),
        helper.make_node("DequantizeLinear", ["q1", "s", "z"], ["output"]),
    ]
    graph = helper.make_graph(nodes, "net", [x], [y], constants)
    network = describe_network(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert network.macs_per_pixel == 3 * 8 * 9
    assert network.layers[0].weight == (8, 3, 3, 3)
    assert [(t.name, t.channels, t.zero_point) for t in network.tensors] == [("q0", 3, 3), ("q1", 8, 3)]
    assert network.tensors[0].scale == pytest.approx(1 / 255)
    assert network.peak_values_per_pixel == 11
