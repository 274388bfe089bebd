"""Interpolation between integer kernels: enlargements by whole factors, which stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.instruction_sets import EVERY
from tests.lower.compiled import assert_equal
from tests.lower.nets import FINE, PIXEL, Act, Net, Tensor
from toolchain.targets import Target, find_target

STREAMED: dict[str, Callable[[Net], Tensor]] = {
    "linear first": lambda net: net.conv(net.resized(net.input, 2), 5),
    "cubic first": lambda net: net.conv(
        net.resized(net.input, 3, mode="cubic", scale=PIXEL * 1.2, zero=20), 5, act=Act("Relu")
    ),
    "linear by three, from the corner": lambda net: net.resized(
        net.conv(net.input, 6, zero=9), 3, coordinate_transformation_mode="asymmetric"
    ),
    "cubic by four, other kernel": lambda net: net.resized(
        net.conv(net.input, 8, zero=9), 4, mode="cubic", cubic_coeff_a=-0.5, zero=20
    ),
    "nearest, the pixel before": lambda net: net.resized(
        net.conv(net.input, 4), 3, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="half_pixel"
    ),
    "slopes": lambda net: net.resized(net.conv(net.input, 6, zero=128), 2, act=Act("PRelu"), zero=40),
    "added to a shuffle": lambda net: net.resized(
        net.input, 2, residual=net.shuffled(net.conv(net.input, 12, zero=30), 2, "CRD"), act=Act("Clip", 0.1, 0.9)
    ),
    "added to a convolution, 16 bits": lambda net: (
        lambda x: net.resized(net.input, 2, residual=net.conv(x, 3, scale=FINE, zero=9000), mode="cubic")
    )(net.shuffled(net.conv(net.input, 20), 2, "DCR")),
    "16 bits": lambda net: net.resized(
        net.conv(net.input, 6, scale=FINE, zero=700), 2, mode="cubic", scale=FINE, zero=3000
    ),
    "a single channel added to all": lambda net: (
        lambda x: net.resized(x, 2, residual=net.conv(net.resized(x, 2), 1), zero=3)
    )(net.conv(net.input, 9)),
    "into a concatenation": lambda net: net.conv(
        net.concat(net.resized(net.conv(net.input, 5), 2), net.shuffled(net.conv(net.input, 12), 2, "DCR")), 4
    ),
    "of a concatenation": lambda net: net.resized(net.concat(net.conv(net.input, 5), net.conv(net.input, 6)), 2),
    "twice, a convolution between": lambda net: net.resized(net.conv(net.resized(net.input, 2), 4, 5), 2),
}


def finished(name: str) -> object:
    net = Net()
    return net.model(net.conv(STREAMED[name](net), 3))


@pytest.mark.parametrize("name", STREAMED)
def test_enlargements_stream(name: str):
    """Bands of many rows, and of the fewest that there may be; the last picture is cut for two threads."""
    model, host = finished(name), find_target("host")
    for cache in (host.cache, 1):
        found = assert_equal(model, replace(host, cache=cache), sizes=((1, 1), (9, 81), (50, 6)), spread=10)
        assert found.stream is not None
        assert not found.coverage.float_operators


@EVERY
def test_every_instruction_set(target: Target):
    for name in ("cubic first", "added to a convolution, 16 bits", "a single channel added to all"):
        assert_equal(finished(name), target, sizes=((2, 3), (9, 81)), spread=10)
    net = Net()
    model = net.model(net.conv(WHOLE["corners aligned, cubic, added"](net), 3))
    assert_equal(model, target, sizes=((2, 3), (9, 31)), spread=10)


WHOLE: dict[str, Callable[[Net], Tensor]] = {
    "corners aligned": lambda net: net.resized(
        net.conv(net.input, 6, zero=9), 2, coordinate_transformation_mode="align_corners"
    ),
    "corners aligned, cubic, added": lambda net: (
        lambda x: net.resized(
            x, 2, mode="cubic", coordinate_transformation_mode="align_corners", residual=net.resized(x, 2), zero=7
        )
    )(net.conv(net.input, 6)),
    "nothing beyond the border": lambda net: net.resized(
        net.conv(net.input, 6, zero=9), 2, mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5, act=Act("PRelu"), zero=9
    ),
    "rows only": lambda net: net.resized(net.conv(net.resized(net.input, 2, 1), 5), 1, 2, scale=PIXEL),
    "half as large again, and back": lambda net: net.resized(
        net.resized(net.input, 3, mode="cubic", exclude_outside=1, scale=FINE, zero=900), 2 / 3
    ),
    "the picture's size, from steps that do not divide it": lambda net: (
        lambda x: net.to_picture(
            net.conv(net.conv(x, 6, stride=2, pads=[0, 0, 0, 0], zero=9), 6, stride=3), residual=net.conv(x, 1), zero=40
        )
    )(net.conv(net.input, 6, zero=9)),
    "the picture's size, from pools": lambda net: net.to_picture(
        net.quantized(
            net.node("MaxPool", net.conv(net.input, 6, zero=9).name, kernel_shape=[3, 3], strides=[2, 2]), 6, zero=9
        ),
        zero=9,
    ),
    "symmetric": lambda net: net.resized(
        net.resized(net.input, 4, 3), 0.5, 2 / 3, coordinate_transformation_mode="half_pixel_symmetric"
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_tensors_are_interpolated(name: str):
    net = Net()
    model = net.model(net.conv(WHOLE[name](net), 3))
    smallest = (8, 9) if "picture" in name else (1, 1)
    found = assert_equal(model, sizes=(smallest, (9, 81), (50, 16)), spread=10)
    assert found.stream is None
    assert found.coverage.integer_convolutions == found.coverage.convolutions
    assert not found.coverage.float_operators
