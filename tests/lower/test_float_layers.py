"""Borders, interpolations and normalizations of float networks, compiled, against the float model in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.instruction_sets import AVX2, param
from tests.lower.test_float import HOST, SIZES, assert_close, attended, built, ended, framed, skewed
from tests.sr_models import Builder
from toolchain.backends.cpu.float_build import compile_float_model
from toolchain.targets import Target


def normalized_pixels(b: Builder) -> None:
    """Channels of each pixel normalized, in a layout of their own, beside others in a concatenation."""
    x = b.conv("input", 3, 8, identity=3)
    last = b.node("Transpose", x, perm=[0, 2, 3, 1])
    gains, offsets = b.const(np.linspace(0.5, 1.5, 8)), b.const(np.linspace(-0.1, 0.2, 8))
    y = b.node("LayerNormalization", last, gains, offsets, axis=-1, epsilon=1e-5)
    y = b.node("Transpose", y, perm=[0, 3, 1, 2])
    z = b.node("Add", b.conv(y, 8, 8, noise=0.05), x)
    ended(b, b.node("Concat", z, b.node("Concat", y, x, axis=1), axis=1), 24)


def sampled(b: Builder) -> None:
    """Interpolations whose weights depend on the picture's size or border, or by broken factors, of every kind."""
    x, total = b.conv("input", 3, 6, identity=3), None
    for how in (
        {"mode": "cubic", "exclude_outside": 1, "coordinate_transformation_mode": "pytorch_half_pixel"},
        {"mode": "cubic", "cubic_coeff_a": -0.5, "coordinate_transformation_mode": "half_pixel_symmetric"},
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "tf_half_pixel_for_nn"},
    ):
        larger = b.node("Resize", x, "", b.const([1, 1, 2.5, 1.5]), **how)
        smaller = b.node("Resize", larger, "", b.const([1, 1, 0.8, 4 / 3]), mode="linear")
        total = smaller if total is None else b.node("Add", total, smaller)
    b.node("Conv", total, b.const(np.eye(3, 6)[..., None, None] / 4), b.const(np.zeros(3)), out="output")


@pytest.mark.parametrize("target", [param(AVX2), HOST])
@pytest.mark.parametrize("write", [skewed, framed, attended, sampled, normalized_pixels])
def test_borders_interpolations_and_normalizations_are_kernels(write: Callable[[Builder], None], target: Target):
    model = built(write)
    compiled = compile_float_model(model, target)
    sizes = SIZES[1:] if write in (framed, attended) else SIZES if write is not sampled else [(4, 6), (8, 10), (16, 82)]
    assert_close(model, compiled.executable, sizes=sizes)
    assert compiled.coverage.float_operators == ()
    assert (compiled.stream is not None) is (write is normalized_pixels)
