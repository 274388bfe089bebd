"""Weights that no processor saturates two by two: the rule in every way of rounding, and what it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from tests.quantize.helpers import NETS, QUICK, network, picture, pictures, psnr, quantized
from tests.quantize.saturating import PAIRINGS, saturating
from toolchain.quantize import IntegerReference, canonicalize, quantize
from toolchain.quantize.rounding import round_together
from toolchain.reference.bounds import prove
from toolchain.reference.pairs import code_limits, largest_pairs, least_scale, round_safely, single_limits

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
STEPS = st.sampled_from([0.0, 0.5, -0.5, 63.5, 64.0, 64.5, 127.0, -127.0, 127.5, 1e6, -1e6]) | st.floats(-200, 200)
WEIGHTS = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=STEPS))


def check(codes: np.ndarray) -> None:
    assert codes.min(initial=0) >= -127
    assert codes.max(initial=0) <= 127
    # Spelled out once more: every pair of products of the largest codes fits into 16 bits.
    for one in codes.astype(int):
        for axes in ((1, 2, 0), (2, 1, 0)):
            row = one.transpose(axes).ravel() * 255
            together = row[:-1] + row[1:]
            assert together.min(initial=0) >= -(2**15)
            assert together.max(initial=0) < 2**15


@given(WEIGHTS)
def test_nearest_codes_are_safe(steps: np.ndarray) -> None:
    codes = round_safely(steps)
    check(codes)
    # No weight moves away from its sign, and none that can stay is moved.
    assert (codes * np.sign(steps) >= 0).all()
    plain = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    calm = largest_pairs(np.abs(steps)) <= 127  # with room for rounding both up
    np.testing.assert_array_equal(codes[calm], plain[calm])


@given(WEIGHTS)
def test_limits_are_safe_together_and_single_limits_one_at_a_time(steps: np.ndarray) -> None:
    low, high = code_limits(steps)
    assert (low <= high).all()
    check(low)
    check(high)
    codes = round_safely(steps)
    low, high = single_limits(codes.astype(np.float64))
    for limits in (low, high):
        for place in np.ndindex(codes.shape):
            moved = codes.copy()
            moved[place] = limits[place]
            check(moved)


@given(WEIGHTS)
def test_the_least_scale_moves_nothing(weights: np.ndarray) -> None:
    scale = np.maximum(least_scale(weights), 1e-30)[:, None, None, None]
    check(round_safely(weights / scale))
    np.testing.assert_allclose(round_safely(weights / scale), weights / scale, atol=0.5 + 1e-6)


@settings(max_examples=30)
@given(WEIGHTS, st.integers(0, 1000), st.booleans())
def test_codes_that_are_rounded_together_are_safe(weights: np.ndarray, seed: int, fixed: bool) -> None:
    taps = weights[0].size
    data = np.random.default_rng(seed).normal(0, 1, (taps, 3 * taps + 5))
    scale = np.maximum(least_scale(weights) / 3, 1e-6).astype(np.float32) if fixed else None
    codes, found = round_together(weights, data @ data.T, scale)
    check(codes)
    assert not fixed or np.array_equal(found, scale)


@pytest.mark.parametrize("weights", ["output", "mse", "minmax", "percentile:90"])
@pytest.mark.parametrize("reconstruct", [True, False])
def test_every_way_to_codes_keeps_the_rule(weights: str, reconstruct: bool) -> None:
    model = quantize(network("fsrcnn"), pictures(1, 1), replace(QUICK, weights=weights, reconstruct=reconstruct)).model
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    kinds = {
        node.input[1].removesuffix("_dequantized"): node.op_type
        for node in model.graph.node
        if node.op_type in ("Conv", "ConvTranspose")
    }
    for name, kind in kinds.items():
        check(np.moveaxis(constants[f"{name}_quantized"], int(kind == "ConvTranspose"), 0))


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("name", sorted(set(NETS) - {"fsrcnn"}))  # which ends in a transposed convolution
def test_the_picture_is_the_same_whatever_is_paired(name: str, pairing: str) -> None:
    model = quantized(name)
    shown = picture(17, 13, model.channels, 3) // 128 * np.uint8(255)  # the most that products can be
    np.testing.assert_array_equal(saturating(model.model, pairing).run(shown), IntegerReference(model.model).run(shown))


def doubled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Codes of weights and biases twice as large and scales half as large: about the same network."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for item in changed.graph.initializer:
        value = numpy_helper.to_array(item)
        if value.dtype == np.int32 or (value.dtype == np.int8 and value.ndim == 4):
            value = np.clip(value.astype(np.int64) * 2, *((-127, 127) if value.ndim == 4 else (-(2**31), 2**31 - 1)))
        elif item.name.endswith("_scale") and value.ndim == 1:
            value = value / 2
        item.CopyFrom(numpy_helper.from_array(value.astype(numpy_helper.to_array(item).dtype), item.name))
    return changed


def test_weights_that_break_the_rule_would_give_another_picture() -> None:
    model = doubled(quantized("abpn").model)
    shown = picture(17, 13, 3, 3)
    exact = IntegerReference(model).run(shown)
    assert psnr(exact, IntegerReference(quantized("abpn").model).run(shown)) > 30
    assert all((saturating(model, pairing).run(shown) != exact).any() for pairing in PAIRINGS)
    assert not prove(model, (0.0, 1.0)).pairs


def test_weights_of_another_tool_are_taken_as_they_are_and_warned_of() -> None:
    model = doubled(quantized("abpn").model)
    taken = canonicalize(model)
    codes = [
        {numpy_helper.to_array(i).tobytes() for i in one.graph.initializer if i.data_type == onnx.TensorProto.INT8}
        for one in (model, taken.model)
    ]
    assert codes[0] == codes[1]
    (warning,) = taken.recipe.warnings
    assert "onnxruntime and OpenVINO" in warning
    assert canonicalize(quantized("abpn").model).recipe.warnings == ()
