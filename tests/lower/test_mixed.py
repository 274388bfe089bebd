"""Tensors of which some channels have 16 bits: equal to the reference, at the work of those channels alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from tests.instruction_sets import EVERY
from tests.lower.compiled import assert_equal
from tests.lower.nets import PIXEL, Act, Net, Tensor
from toolchain.backends.cpu.build import Compiled
from toolchain.quantize import IntegerReference
from toolchain.reference.network import describe_network
from toolchain.targets import Target

Ending = Callable[[Net], Tensor]


def views(found: Compiled) -> list[tuple[int, int, int]]:
    """Blocks of high and of low bytes that each convolution reads, and the bytes of its results' codes."""
    convs = [kernel.conv for kernel in found.kernels]
    return [(conv.inputs, conv.low_inputs, 0 if conv.pixels else conv.target.bytes) for conv in convs]


PLAIN: dict[str, Ending] = {
    "3x3": lambda net: net.mixed(net.input),
    "prelu": lambda net: net.mixed(net.input, act=Act("PRelu")),
    "clip": lambda net: net.mixed(net.input, act=Act("Clip", high=0.6)),
    "a part within a word": lambda net: net.mixed(net.input, coarse=7),
    "zero point 0": lambda net: net.mixed(net.input, zero=0),
    "two words": lambda net: net.mixed(net.input, 8, 4),
    "all but one": lambda net: net.mixed(net.input, 12, 4, k=1),
}


@pytest.mark.parametrize("name", PLAIN)
def test_low_bytes_of_some_channels(name: str):
    net = Net(1)
    x = PLAIN[name](net)
    found = assert_equal(net.model(net.conv(net.conv(x, 8, act=Act("Relu")), 4, 1), 2))
    fine, coarse, reader, _ = views(found)
    assert (fine[2], coarse[2]) == (2, 1)
    assert reader[1] < reader[0] == -(-x.channels // 4)
    assert found.stream is not None


@EVERY
def test_every_instruction_set(target: Target):
    found = assert_equal(several_readers(), target, ((1, 1), (9, 81)))
    assert [reader[:2] for reader in views(found)[2:5]] == [(3, 1)] * 3


def several_readers() -> onnx.ModelProto:
    """Convolutions of several taps and of one."""
    net = Net(1)
    x = net.mixed(net.input)
    return net.model(net.conv(net.add(net.conv(x, 4), net.conv(x, 4, 1)), 4, 1, residual=net.conv(x, 4, 5)), 2)


WHOLE: dict[str, Ending] = {
    "a sum reads it too": lambda net: (lambda x: net.conv(x, 12, residual=x))(net.mixed(net.input)),
    "a border is not the zero point": lambda net: net.conv(
        net.windowed(net.mixed(net.input), 1, 1, 1, 1, value=0.3), 4, pads=[0] * 4
    ),
    "groups": lambda net: net.conv(net.mixed(net.input, 4, 4), 8, groups=2),
    "within a word": lambda net: net.conv(net.mixed(net.input, 6, 6), 8),
    "other steps": lambda net: net.conv(other(net), 8),
}


def other(net: Net) -> Tensor:
    parts = net.conv(net.input, 4, scale=PIXEL / 256), net.conv(net.input, 4, scale=PIXEL * 1.5)
    return net.quantized(net.node("Concat", *(part.name for part in parts), axis=1), 8, PIXEL / 256)


@pytest.mark.parametrize("name", WHOLE)
def test_all_low_bytes_where_something_wants_them(name: str):
    net = Net(1)
    found = assert_equal(net.model(net.conv(WHOLE[name](net), 4), 2))
    assert all(low in (0, high) for high, low, _ in views(found))


def test_work_counts_what_is_multiplied():
    net = Net(1)
    model = net.model(net.conv(net.mixed(net.input), 4), 2)
    figures = describe_network(model)
    assert figures.doubled_per_pixel == pytest.approx(4 * 4 * 9)  # of 12 channels, four count twice
    assert np.ptp(IntegerReference(model).run(np.arange(35, dtype=np.uint8).reshape(5, 7, 1))) > 0
