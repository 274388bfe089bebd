"""Interpolation of whole tensors, under an emulator of Arm: the reference's codes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests import arm
from tests.instruction_sets import ARM
from tests.kernels.test_conventions import compiled
from toolchain.frontend.fixed_point import Resizing
from toolchain.frontend.resize import Sampling
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import Geometry, pack, unpack
from toolchain.kernels.resample import build
from toolchain.kernels.spec import Interpolate, Requantize
from toolchain.kernels.view import View
from toolchain.reference.arithmetic import finish
from toolchain.reference.quantization import Quantization
from toolchain.reference.resizing import Precision, interpolate
from toolchain.targets import Target

CASES = {
    "corners aligned": (Resizing(Sampling("cubic", "align_corners"), (Fraction(2), Fraction(3, 2))), (14, 13)),
    "to a size": (Resizing(Sampling("linear"), None), (20, 23)),
}


@ARM
@pytest.mark.parametrize("name", CASES)
def test_whole_tensors(target: Target, name: str):
    arm.emulator(target)  # skips before it compiles
    resizing, (rows, columns) = CASES[name]
    dot = dot_product(target.instruction_set)
    geometry, given, out = Geometry(1, dot.columns, dot.offset), Quantization(0.5, 9), Quantization(0.6, 30)
    precision, height, width = Precision.of(given), 7, 9
    multiplier = np.float32(np.float64(given.scale) * 2.0**-precision.fraction / out.scale)
    epilogue = Requantize(-out.zero_point, 255 - out.zero_point, out.zero_point)
    view = View.whole(2)
    kernel = build(
        Interpolate(view, resizing, given.zero_point, precision.dropped, float(multiplier), epilogue, view), geometry
    )
    codes = np.random.default_rng(0).integers(0, 256, (8, height, width)).astype(np.uint8)
    sizes = [height, geometry.tiles(width), width, rows, geometry.tiles(columns), columns]
    made = np.zeros(geometry.shape(2, rows, geometry.tiles(columns)), np.uint32)
    got = arm.call(
        compiled(kernel, target), target, [pack(codes, geometry, given.zero_point), *sizes, made], name="main"
    )
    sums = interpolate(codes, given, resizing, (rows, columns))
    np.testing.assert_array_equal(
        unpack(got, geometry, 8, rows, columns), finish(sums.astype(np.float32) * multiplier, None, out)
    )
