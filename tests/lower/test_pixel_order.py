"""The last convolution's channels in the order of the pixels they become: the same picture, by fewer stores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.instruction_sets import AVX2, PORTABLE, param
from tests.kernels.harness import Case, check_data, expected, make_data, shuffled, spec
from tests.kernels.test_conv import crd, dcr
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.spec import DepthToSpace, Operand, View
from toolchain.lower.pixel_order import in_pixel_order
from toolchain.targets import Target


def parameters(count: int) -> Parameters:
    """Every channel's are its number, -1 for those that only fill words."""
    numbers = np.array([*range(count), *[-1] * (-count % 4)])
    return Parameters(numbers.reshape(-1, 1, 1, 1), numbers, 0, numbers.astype(np.float32), numbers.astype(np.float32))


def test_channels_follow_the_pixels():
    given = crd(2, 3)
    pixels, moved, operand = in_pixel_order(given, parameters(12), Operand(View(1, 0, 1), 4, 3, 0, 0.5))
    assert pixels == dcr(2, 3)
    for array in (moved.bias, moved.weights.ravel(), moved.multiplier, moved.slopes):
        assert array is not None
        assert array.tolist() == list(given.table)
    assert operand == Operand(View(1, 0, 1), 1, 3, 0, 0.5)


def test_filling_channels_stay_last():
    _, moved, _ = in_pixel_order(crd(3, 3), parameters(27), None)
    assert moved.bias.tolist() == [*crd(3, 3).table, -1]


@pytest.mark.parametrize(
    ("pixels", "operand"),
    [
        (DepthToSpace(2, 1, (0, 0, 1, 2)), None),
        (DepthToSpace(1, 3, (0, 2, 5)), None),
        (crd(2, 3), Operand(View(3, 0, 3), 1, 12, 0, 0.5)),
    ],
    ids=["a channel twice", "some channels", "a residual of every channel"],
)
def test_what_has_no_such_order_stays(pixels: DepthToSpace, operand: Operand | None):
    given = parameters(12)
    assert in_pixel_order(pixels, given, operand) == (pixels, given, operand)


@pytest.mark.parametrize("target", [param(AVX2), param(PORTABLE)])
@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 1), (2, 3), (3, 1), (3, 3), (4, 3), (5, 1)])
def test_the_picture_is_the_same(scale: int, channels: int, target: Target):
    case = Case(4, scale**2 * channels, pixels=crd(scale, channels), slopes=True, width=35)
    data = make_data(case)
    given = Parameters(data.weights, data.bias, case.zero_in, data.multiplier, data.slopes)
    pixels, moved, _ = in_pixel_order(crd(scale, channels), given, None)
    assert moved.slopes is not None
    turned = dataclasses.replace(
        data, weights=moved.weights, bias=moved.bias, multiplier=moved.multiplier, slopes=moved.slopes
    )
    other = dataclasses.replace(case, pixels=pixels)
    wanted = shuffled(expected(case, data), spec(case).pixels)  # type: ignore[arg-type]
    np.testing.assert_array_equal(shuffled(expected(other, turned), pixels), wanted)
    check_data(other, turned, target)
