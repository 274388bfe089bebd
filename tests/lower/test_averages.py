"""Averages that leave out what lies beyond the picture, and borders that wrap around: equal to the reference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.instruction_sets import EVERY
from tests.lower.compiled import assert_equal
from tests.lower.nets import FINE, PIXEL, Act, Net, Tensor
from toolchain.quantize import IntegerReference
from toolchain.reference.bounds import find_bounds
from toolchain.targets import Target

CASES = {
    "three by three": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    "uneven": {"kernel_shape": [2, 5], "pads": [0, 3, 1, 1]},
    "by steps": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "by other steps across": {"kernel_shape": [2, 4], "strides": [2, 4], "pads": [0, 0, 0, 0]},
    "rounded up": {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 0, 0], "ceil_mode": 1},
}


def average(
    net: Net, x: Tensor, *, act: Act | None = None, scale: float = PIXEL, zero: int = 0, **how: object
) -> Tensor:
    value = net.activated(net.node("AveragePool", x.name, **how), x.channels, act)
    return net.quantized(value, x.channels, scale, zero)


def averaging(name: str, *, wide: bool = False) -> onnx.ModelProto:
    """One of `CASES` between two convolutions."""
    net, how = Net(), CASES[name]
    scale, zero = (FINE, 900) if wide else (PIXEL, 30)
    x = net.conv(net.input, 7, scale=scale, zero=zero)
    x = average(net, x, act=Act("Clip", -0.1, 0.8), scale=scale, zero=zero, **how)
    x = net.conv(x, 12, 1)
    if "strides" in how:  # back to the picture's size
        x = net.conv(net.to_picture(x), 12, 1)
    return net.model(x, 2)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_window_counts_its_own_pixels(name: str, wide: bool):
    library = assert_equal(averaging(name, wide=wide), sizes=((5, 7), (9, 81), (44, 6)))
    assert not library.coverage.float_operators


@EVERY
def test_on_every_instruction_set(target: Target):
    net = Net()
    x = average(net, net.conv(net.input, 9, zero=30), zero=12, act=Act("Relu"), **CASES["three by three"])
    assert_equal(net.model(net.conv(x, 12), 2), target, sizes=((1, 1), (9, 81)))


def test_a_mean_is_what_it_says():
    net = Net(1)
    model = net.model(average(net, net.input, kernel_shape=[3, 1], pads=[1, 0, 1, 0]))
    column = np.array([10, 20, 60], np.uint8).reshape(3, 1, 1)
    np.testing.assert_array_equal(IntegerReference(model).run(column).ravel(), [15, 30, 40])


def test_bounds_hold_for_every_window():
    net = Net(1)
    x = net.quantized(net.node("AveragePool", net.input.name, **CASES["three by three"]), 1, PIXEL / 3, 7)
    model = net.model(x)
    bounds, reference = find_bounds(model), IntegerReference(model)
    for value in (0, 255):
        codes = reference.tensors(np.full((4, 4, 1), value, np.uint8))
        for name, found in codes.items():
            assert (found >= bounds.codes[name].low).all()
            assert (found <= bounds.codes[name].high).all()


@pytest.mark.parametrize("inside", [False, True])
def test_a_border_that_wraps_around(inside: bool):
    net = Net()
    x = net.conv(net.input, 8, scale=FINE, zero=5) if inside else net.input
    x = net.conv(net.windowed(x, 2, 3, 4, 1, "wrap"), 12, 5, pads=[0, 0, 0, 0])
    x = net.windowed(x, -1, 0, -1, 0)
    model = net.model(net.windowed(x, 1, 0, 1, 0, "wrap"), 2)
    assert not assert_equal(model, sizes=((3, 2), (9, 81), (44, 6))).coverage.float_operators
