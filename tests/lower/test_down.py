"""Networks that make pictures smaller before they make them larger: strides, space-to-depth and pooling."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.instruction_sets import EVERY
from tests.lower.compiled import assert_equal
from tests.lower.nets import FINE, Act, Net
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.spec import Conv, Pool, SpaceToDepth
from toolchain.lower import lower_model
from toolchain.quantize import IntegerReference
from toolchain.targets import Target


def down_and_up() -> onnx.ModelProto:
    """A U: halved by a stride, then by pooling; beside it all at a third of the side; and up again."""
    net = Net()
    wide = net.conv(net.input, 10, act=Act("Relu"), zero=5)
    half = net.conv(wide, 16, stride=2, pads=[1, 1, 1, 1], act=Act("PRelu"), zero=40)
    quarter = net.conv(net.largest(half, 3, 2, [1, 1, 1, 1]), 16, groups=2, zero=40)
    back = net.shuffled(net.conv(quarter, 32, 1, zero=40), 2, "DCR")
    joined = net.concat(net.conv(half, 12, 1, zero=40), back, zero=40)
    large = net.shuffled(net.conv(joined, 24, residual=None, act=Act("Relu")), 2, "CRD")
    beside = net.conv(net.squares(net.input, 4), 96, 1, zero=9)
    whole = net.add(large, net.conv(net.shuffled(beside, 4, "CRD"), 6), zero=3)
    return net.model(net.conv(whole, 12), 2, unit=4)


@EVERY
def test_every_instruction_set_gives_the_reference(target: Target):
    library = assert_equal(down_and_up(), target)
    assert library.stream is not None
    assert library.coverage.integer_convolutions == library.coverage.convolutions


def test_in_sixteen_bits():
    net = Net()
    x = net.conv(net.input, 12, act=Act("Relu"), scale=FINE, zero=700)
    half = net.conv(x, 8, 5, stride=2, pads=[2, 2, 2, 2], scale=FINE, zero=700)
    both = net.add(half, net.conv(net.largest(x, 3, 2, [1, 1, 0, 0]), 8, 1, scale=FINE, zero=700), scale=FINE, zero=700)
    low = net.conv(net.concat(both, net.selected(net.squares(x, 2), 1, 3, 4, 20), scale=FINE, zero=700), 12)
    assert assert_equal(net.model(low, 2, unit=2)).stream is not None


CONVOLUTIONS = {
    "a kernel of one tap": (1, 2, [0, 0, 0, 0], 1, 1),
    "no padding before": (2, 2, [0, 0, 0, 0], 1, 1),
    "uneven padding": (3, 2, [0, 1, 1, 0], 1, 1),
    "an even kernel": (4, 2, [1, 1, 1, 1], 1, 1),
    "by three": (5, 3, [1, 1, 1, 1], 1, 1),
    "by four, far": (9, 4, [3, 2, 2, 3], 1, 1),
    "dilated": (3, 2, [2, 2, 1, 1], 1, 2),
    "each channel by itself": (7, 2, [3, 3, 3, 3], 12, 1),
    "in groups of four": (3, 2, [1, 1, 1, 1], 3, 1),
    "less than it could be": (3, 2, [0, 0, 0, 0], 1, 1),
    "more than it must be": (3, 2, [1, 1, 2, 2], 1, 1),
}


def stepping(name: str) -> tuple[onnx.ModelProto, int]:
    """One of `CONVOLUTIONS`, and how many rows it makes more than its input has steps."""
    kernel, stride, pads, groups, dilation = CONVOLUTIONS[name]
    net = Net()
    x = net.conv(net.input, 12, 1, zero=21)
    options = {"stride": stride, "pads": pads, "groups": groups, "dilation": dilation}
    rows = (stride * 8 + pads[0] + pads[2] - (kernel - 1) * dilation - 1) // stride + 1 - 8
    y = net.conv(x, 12, kernel, zero=70, **options)
    # Rows that there are too few or too many of are made up for: the picture's size has to come out.
    if rows:
        y = net.windowed(y, 0, 0, -rows, -rows, "edge")
    return net.model(net.conv(y, 3 * stride**2, 1), stride, unit=stride), rows


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_by_steps(name: str):
    model, rows = stepping(name)
    library = assert_equal(model, sizes=((5, 7) if rows else (1, 1), (37, 70)))
    assert library.coverage.integer_convolutions == 3
    assert (library.stream is None) == bool(rows)


POOLS = {
    "squares": (2, 2, [0, 0, 0, 0], 0),
    "overlapping": (3, 2, [1, 1, 1, 1], 0),
    "overlapping at the end": (3, 2, [0, 0, 0, 0], 1),
    "by three": (3, 3, [0, 0, 0, 0], 0),
    "of a tensor's own size": (3, 1, [1, 1, 1, 1], 0),
    "uneven": (4, 2, [2, 1, 0, 1], 0),
}


def pooling(name: str) -> onnx.ModelProto:
    """One of `POOLS` between two convolutions."""
    kernel, stride, pads, ceil = POOLS[name]
    net = Net()
    x = net.largest(net.conv(net.input, 11, zero=90), kernel, stride, pads, ceil_mode=ceil)
    return net.model(net.conv(x, 3 * stride**2), stride, unit=stride)


@pytest.mark.parametrize("name", POOLS)
def test_pools(name: str):
    assert assert_equal(pooling(name), sizes=((1, 1), (37, 70))).stream is not None


def test_a_convolution_by_steps_makes_no_product_with_zeros():
    """Its input is in phases; its weights are those of the model."""
    net = Net()
    model = net.model(net.conv(net.conv(net.input, 16, stride=2, pads=[1, 1, 1, 1]), 12), 2, unit=2)
    network = lower_model(model, dot_product("portable")).network
    assert network is not None
    kinds = [type(launch.operation).__name__ for launch in network.launches]
    assert kinds == ["Pack", "SpaceToDepth", "Conv", "Conv"]
    conv = network.launches[2].operation
    assert isinstance(conv, Conv)
    assert (conv.kernel, conv.stride, conv.inputs, conv.source.count) == ((3, 3), (2, 2), 1, 4)
    assert network.launches[2].constants[0].size == 16 * 9 * 4


def test_a_tensor_is_laid_into_phases_once():
    net = Net()
    x = net.conv(net.input, 8, act=Act("Relu"))
    parts = net.conv(x, 8, stride=2, pads=[1, 1, 1, 1]), net.largest(x, 2, 2), net.squares(x, 2)
    model = net.model(net.conv(net.concat(*parts), 12), 2, unit=2)
    assert_equal(model, sizes=((37, 70),))
    network = lower_model(model, dot_product("portable")).network
    assert network is not None
    operations = [launch.operation for launch in network.launches]
    assert sum(isinstance(operation, SpaceToDepth) for operation in operations) == 1
    assert sum(isinstance(operation, Pool) for operation in operations) == 1


def test_sizes_between_are_extended_by_their_border():
    """Not by black: a flat picture stays as flat as the network leaves it inside."""
    net = Net(seed=3)
    model = net.model(net.conv(net.squares(net.input, 2), 12, 1), 2, unit=2)
    flat = np.full((5, 7, 3), 200, np.uint8)
    found = IntegerReference(model).run(flat)
    assert found.shape == (10 // 2, 14 // 2, 3)
    assert (found == np.tile(found[:2, :2], (3, 4, 1))[:5, :7]).all()
