"""Which structures become one integer kernel, and which must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tvm import relax

from tests.lower.nets import PIXEL, Act, Net
from toolchain.lower import import_qdq
from toolchain.lower.bindings import channels_of
from toolchain.lower.chain import Matcher, Step
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import ConcatStep, ConvStep, InputStep, SumStep


def chains(model: onnx.ModelProto) -> list[Step | None]:
    """The chain of every quantized tensor, in order."""
    matcher = Matcher(import_qdq(model)["main"])
    return [
        matcher.chain(var)
        for var, call in matcher.definitions.items()
        if isinstance(call, relax.Call) and call.op.name == "relax.quantize"
    ]


def last(net: Net, x: Any) -> Step | None:
    return chains(net.model(x))[-1]


@pytest.mark.parametrize(
    ("act", "low", "high", "slopes"),
    [
        (Act("Relu"), 0.0, np.inf, None),
        (Act("Clip", -0.25, 0.5), -0.25, 0.5, None),
        (Act("Clip", -np.inf, 0.5), -np.inf, 0.5, None),
        (Act("LeakyRelu"), -np.inf, np.inf, [0.2] * 5),
    ],
)
def test_activations(act: Act, low: float, high: float, slopes: list[float] | None):
    net = Net()
    chain = last(net, net.conv(net.input, 5, act=act))
    assert isinstance(chain, ConvStep)
    assert (chain.after.low, chain.after.high) == (low, high)
    assert chain.residual is None
    assert chain.before is None
    if slopes is None:
        assert chain.after.slopes is None
    else:
        np.testing.assert_array_equal(chain.after.slopes, np.float32(slopes))


def test_prelu_keeps_each_slope():
    net = Net()
    model = net.model(net.conv(net.input, 5, act=Act("PRelu")))
    slope = next(node.input[1] for node in model.graph.node if node.op_type == "PRelu")
    (wanted,) = [numpy_helper.to_array(t).reshape(-1) for t in model.graph.initializer if t.name == slope]
    np.testing.assert_array_equal(chains(model)[-1].after.slopes, wanted)


def test_constants_and_geometry_of_a_convolution():
    net = Net()
    model = net.model(net.conv(net.input, 6, 3, groups=3, dilation=2, pads=[0, 3, 4, 1], scale=0.25, zero=9))
    first, chain = chains(model)
    assert isinstance(first, InputStep)
    assert (channels_of(first.out.tensor), first.out.quantization) == (3, Quantization(PIXEL, 0))
    convolution = chain.convolution
    assert (convolution.group, convolution.pads) == (3, (0, 3, 4, 1))
    assert (convolution.dilations, convolution.weight.shape) == ((2, 2), (6, 1, 3, 3))
    assert chain.out.quantization == Quantization(0.25, 9)
    assert chain.source == first.out
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weights, biases = (
        node.input for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored
    )
    np.testing.assert_array_equal(convolution.weight, stored[weights[0]])
    np.testing.assert_array_equal(chain.weight_scale, stored[weights[1]])
    np.testing.assert_array_equal(convolution.bias, stored[biases[0]])


@pytest.mark.parametrize("swapped", [False, True])
def test_both_orders_of_a_sum(swapped: bool):
    net = Net()
    a = net.conv(net.input, 8, zero=7)
    chain = last(net, net.conv(net.input, 8, act=Act("PRelu"), residual=a, after=Act("Relu"), swapped=swapped))
    assert isinstance(chain, ConvStep)
    assert chain.residual.quantization.zero_point == 7
    assert chain.before.slopes is not None
    assert chain.after.low == 0.0


def test_sums_of_quantized_tensors_and_changes_of_scale():
    net = Net()
    a, b = net.conv(net.input, 4), net.conv(net.input, 4)
    chain = last(net, net.add(a, b, after=Act("Clip", 0.0, 0.5)))
    assert isinstance(chain, SumStep)
    assert (len(chain.terms), chain.after.high) == (2, 0.5)
    net = Net()
    chain = last(net, net.quantized(net.conv(net.input, 4).name, 4, 0.5))
    assert isinstance(chain, SumStep)
    assert (len(chain.terms), chain.after) == (1, None)


def test_concatenation():
    net = Net()
    chain = last(net, net.concat(net.input, net.conv(net.input, 5)))
    assert isinstance(chain, ConcatStep)
    assert [channels_of(part.tensor) for part in chain.parts] == [3, 5]


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "pads": [3, 0, 0, 0]},  # rows of nothing but padding
        {"weight_zero": 3},
        {"residual": True, "after": Act("PRelu")},
    ],
    ids=str,
)
def test_no_integer_kernel(options: dict[str, Any]):
    net = Net()
    options = dict(options)
    if options.get("residual"):
        options["residual"] = net.conv(net.input, 8)
    assert last(net, net.conv(net.input, 8, **options)) is None


def test_a_sum_that_somebody_else_reads_before_is_not_fused():
    net = Net()
    a = net.conv(net.input, 4)
    value = net.convolved(net.input, 4)
    b = net.quantized(net.node("Add", value, a.name), 4)
    c = net.quantized(net.node("Tanh", value), 4)
    found = chains(net.model(net.add(b, c)))
    assert [type(chain).__name__ for chain in found] == ["InputStep", "ConvStep", "NoneType", "NoneType", "SumStep"]


def test_activations_are_quantized_per_tensor_as_uint8_or_not_at_all():
    net = Net()
    model = net.model(net.conv(net.input, 4))
    quantize = [node for node in model.graph.node if node.op_type == "QuantizeLinear"][-1]
    for tensor in model.graph.initializer:
        if tensor.name == quantize.input[1]:
            tensor.CopyFrom(numpy_helper.from_array(np.full(4, PIXEL, np.float32), tensor.name))
        if tensor.name == quantize.input[2]:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(4, np.uint8), tensor.name))
    assert chains(model)[-1] is None
    for tensor in model.graph.initializer:
        if tensor.name == quantize.input[1]:
            tensor.CopyFrom(numpy_helper.from_array(np.float32(PIXEL), tensor.name))
        if tensor.name == quantize.input[2]:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros((), np.int8), tensor.name))
    assert chains(model)[-1] is None
