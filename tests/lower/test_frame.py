"""A border around the picture, and what is cut off at the end: the network between streams."""

from __future__ import annotations

import onnx
import pytest

from tests.instruction_sets import AVX2, param
from tests.lower.compiled import assert_equal
from tests.lower.nets import PIXEL, Act, Net
from toolchain.lower.frame import take_frame
from toolchain.targets import Target


def network(mode: str, border: int = 3, cut: int = 6, value: float = 0.0) -> onnx.ModelProto:
    """Two convolutions and a shuffle, with a border before and a cut behind."""
    net = Net()
    x = net.windowed(net.input, border, border, border, border, mode, value) if border else net.input
    x = net.shuffled(net.conv(net.conv(x, 8, act=Act("Relu")), 12), 2, "CRD")
    model = net.model(net.windowed(x, -cut, -cut, -cut, -cut) if cut else x)
    last = model.graph.node.pop()  # it shuffles by one
    model.graph.node[-1].output[0] = "output"
    assert last.op_type == "DepthToSpace"
    return model


@pytest.mark.parametrize(
    ("mode", "cut", "value"), [("edge", 6, 0.0), ("edge", 5, 0.0), ("reflect", 6, 0.0), ("constant", 6, 0.4)]
)
def test_what_lies_between_streams(mode: str, cut: int, value: float):
    found = assert_equal(network(mode, cut=cut, value=value), sizes=((4, 7), (9, 81), (77, 6)))
    assert found.stream is not None
    padded, large, picture = 3 * 96 * 166, 3 * 192 * 332, 3 * (192 - 2 * cut) * (332 - 2 * cut)
    assert found.workspace(90, 160) == pytest.approx(padded + large + picture, abs=256)


def test_one_without_the_other():
    for border, cut in ((0, 2), (2, 0)):
        assert assert_equal(network("edge", border, cut), sizes=((9, 21),)).stream is not None


@pytest.mark.parametrize("target", [param(AVX2)])
def test_layer_by_layer_too(target: Target):
    net = Net()
    x = net.windowed(net.input, 3, 3, 3, 3, "edge")
    x = net.conv(x, 8, act=Act("Relu"))
    x = net.pair("Mul", x, net.pooled(x), scale=PIXEL / 4)
    model = net.model(net.windowed(net.conv(x, 3), -3, -3, -3, -3))
    model.graph.node.pop()
    model.graph.node[-1].output[0] = "output"
    assert assert_equal(model, target, sizes=((9, 21),)).stream is None


@pytest.mark.parametrize("added", [0, 2])
def test_layer_by_layer_around_a_network_that_counts_in_units(added: int):
    net = Net()
    x = net.windowed(net.input, added, added, added, added, "edge") if added else net.input
    half = net.conv(net.squares(x, 2), 12, act=Act("Relu"))
    half = net.pair("Mul", half, net.pooled(half), scale=PIXEL / 4)
    model = net.model(net.windowed(net.shuffled(half, 2, "DCR"), -1, -1, -1, -1), unit=2)
    model.graph.node.pop()
    model.graph.node[-1].output[0] = "output"
    found = assert_equal(model, sizes=((8, 22),))
    assert found.stream is None
    assert found.workspace(16, 24) > found.workspace(8, 22)


def test_a_border_that_something_else_reads_is_none():
    net = Net()
    x = net.conv(net.windowed(net.input, 1, 1, 1, 1, "edge"), 3, pads=[0, 0, 0, 0], residual=net.input)
    model = net.model(x)
    assert take_frame(model) == (model, None)
