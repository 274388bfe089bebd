"""Bounds that hold for every picture, are met by the worst one, and say when nothing can be promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.quantize.helpers import QUICK, network, picture, quantized, small_model
from toolchain.quantize import IntegerReference, quantize
from toolchain.reference.bounds import LIMIT, AccumulatorBounds, NetworkBounds, Proof, find_bounds, prove
from toolchain.reference.graph import GraphView
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import ConvStep

ALL = ["xlsr", "abpn", "espcn", "fsrcnn", "sesr", "sesr_prelu_rgb"]


def pictures(channels: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (19, 14, channels), dtype=np.uint8)
    return [
        noise,
        noise // 128 * np.uint8(255),
        picture(15, 18, channels),
        np.full((6, 6, channels), 255, np.uint8),
        np.zeros((7, 5, channels), np.uint8),
    ]


@pytest.mark.parametrize("name", ALL)
def test_no_picture_leaves_the_bounds(name: str) -> None:
    model = quantized(name)
    bounds, reference = find_bounds(model.model), IntegerReference(model.model)
    assert bounds.proved
    assert bounds.exact
    sums = {found.name: found for found in bounds.accumulators}
    for shown in pictures(model.channels):
        codes = reference.tensors(shown)
        for key, found in codes.items():
            interval = bounds.codes[key]
            assert (interval.low <= found[0]).all(), key
            assert (found[0] <= interval.high).all(), key
        for step in reference.program.steps:
            if isinstance(step, ConvStep) and step.source.tensor in codes:
                for _, acc in step.convolution.bands(codes[step.source.tensor][0], step.source.quantization.zero_point):
                    assert sums[step.accumulator].low <= acc.min()
                    assert acc.max() <= sums[step.accumulator].high
    for found in bounds.accumulators:
        assert max(-found.low, found.high) <= found.partial


def one_convolution(weight: np.ndarray, bias: np.ndarray) -> NetworkBounds:
    nodes = [helper.make_node("Conv", ["input", "w", "b"], ["output"], pads=[0, 0, 0, 0])]
    plain = replace(QUICK, reconstruct=False, correct_bias=False)
    return find_bounds(quantize(small_model(nodes, {"w": weight, "b": bias}), [picture(40, 40, 3)], plain).model)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_worst_picture_meets_the_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (3, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["input", "w", "b"], ["output"], pads=[0, 0, 0, 0])]
    constants = {"w": weight, "b": rng.normal(0, 0.2, 3).astype(np.float32)}
    model = quantize(small_model(nodes, constants), [picture(40, 40, 3)], QUICK).model
    (step,) = [step for step in IntegerReference(model).program.steps if isinstance(step, ConvStep)]
    (found,) = find_bounds(model).accumulators
    reached = []
    for weights in step.convolution.weight:
        for sign in (1, -1):
            worst = np.where(sign * weights > 0, 255, 0).astype(np.uint8)
            reached += [acc for _, sums in step.convolution.bands(worst, 0) for acc in sums.ravel()]
    assert (min(reached), max(reached)) == (found.low, found.high)


def test_a_channel_that_cannot_move_narrows_what_follows() -> None:
    weight = np.zeros((3, 3, 1, 1), np.float32)
    weight[0, 0], weight[1, 1] = 1, 0.5
    interval = list(one_convolution(weight, np.array([0, 0, 0.25], np.float32)).codes.values())[-1]
    low, high = interval.low.ravel(), interval.high.ravel()
    np.testing.assert_allclose(low, [0, 0, 64], atol=1)
    np.testing.assert_allclose(high, [255, 128, 64], atol=1)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(0.0, 1.0), (0.0, 255.0)]),
    st.floats(-1e6, 1e6, width=32) | st.floats(-2, 2, width=32),
    st.booleans(),
)
def test_where_saturation_is_the_clip_no_value_tells_them_apart(
    ends: tuple[float, float], value: float, pinned: bool
) -> None:
    quantization = Quantization.of_range(*ends) if pinned else Quantization.of_range(ends[0] - 0.1, ends[1] * 1.2)
    bounds = NetworkBounds((), {}, quantization)
    assert bounds.clips(*ends) == pinned
    if pinned:
        values = np.array([value], np.float32)
        clipped = np.clip(values, np.float32(ends[0]), np.float32(ends[1]))
        np.testing.assert_array_equal(quantization.quantize(values), quantization.quantize(clipped))


def test_a_sum_that_might_overflow_is_not_proved() -> None:
    far = AccumulatorBounds("far", -5, 7, LIMIT)
    assert not NetworkBounds((far,), {}, Quantization(1.0, 0)).proved
    assert NetworkBounds((AccumulatorBounds("near", -5, 7, LIMIT - 1),), {}, Quantization(1.0, 0)).proved
    assert not NetworkBounds((AccumulatorBounds("wide", -(2**24) - 1, 0, 2**25),), {}, Quantization(1.0, 0)).exact


def test_so_many_pairs_of_few_bits_fit_into_16_bits() -> None:
    few = replace(QUICK, weight_bits={"*": 4}, outliers=False, tame=False, augment=False)
    model = quantize(network("espcn"), pictures(1), few).model
    proof = prove(model, (0.0, 1.0))
    assert proof.together >= 9
    assert f"no two products exceed {proof.pair} of 2^15, and the sum of {proof.together} pairs fits too" in str(proof)
    for name, codes in GraphView(model).constants.items():
        if codes.dtype == np.int8 and codes.ndim == 4:
            laid = codes.transpose(0, 2, 3, 1).reshape(len(codes), -1).astype(int)
            for signed in (np.maximum(laid, 0), np.maximum(-laid, 0)):
                pairs = 255 * (signed[:, :-1] + signed[:, 1:])
                assert proof.together * pairs.max() < 2**15, name


def test_what_is_proved_is_a_sentence() -> None:
    model = quantized("xlsr")
    proof = prove(model.model, model.value_range)
    assert (proof.fits, proof.exact, proof.clips, proof.pairs) == (True, True, True, True)
    assert proof.partial == max(found.partial for found in find_bounds(model.model).accumulators)
    assert str(proof).startswith("no sum exceeds 2^1")
    assert str(proof).endswith(
        f"all are exact in float32; no two products exceed {proof.pair} of 2^15; saturation is the clip"
    )
    worse = Proof("far", 2**32, fits=False, exact=False, clips=False, pair=64770, paired="here", pairs=False)
    assert (
        str(worse) == "sums may reach 2^32.0, beyond 2^31 (largest in 'far'), not all are exact in float32; "
        "two products may reach 64770, beyond 2^15, in 'here': on x86 without VNNI onnxruntime and OpenVINO saturate "
        "them and give another picture; saturation is not the clip"
    )


def test_a_pair_counts_as_much_as_the_codes_that_it_meets() -> None:
    weight = np.zeros((3, 3, 1, 1), np.float32)
    weight[:, 0, 0, 0], weight[:, 1, 0, 0] = 1, -1
    (found,) = one_convolution(weight, np.zeros(3, np.float32)).accumulators
    assert found.pair == 127 * 255  # alone: its neighbour has the other sign
    weight[1, 1], weight[2] = 1, 0.25
    (found,) = one_convolution(weight, np.zeros(3, np.float32)).accumulators
    assert found.pair == 128 * 255
    dark = np.zeros((3, 3, 1, 1), np.float32)
    dark[0, 0], dark[1, 1] = 0.5, 0.25
    constants = {"dark": dark, "w": np.ones((3, 3, 1, 1), np.float32), "b": np.zeros(3, np.float32)}
    nodes = [
        helper.make_node("Conv", ["input", "dark", "b"], ["first"], pads=[0, 0, 0, 0]),
        helper.make_node("Conv", ["first", "w", "b"], ["output"], pads=[0, 0, 0, 0]),
    ]
    plain = replace(QUICK, reconstruct=False, correct_bias=False, equalize=False)
    bounds = find_bounds(quantize(small_model(nodes, constants), [picture(40, 40, 3)], plain).model)
    second = bounds.accumulators[1]
    high = next(codes.high.ravel().astype(int) for name, codes in bounds.codes.items() if name.startswith("first"))
    assert second.pair == 64 * (high[0] + high[1]) < 128 * 255


def test_a_large_bias_counts() -> None:
    model = quantized("espcn").model
    before = find_bounds(model).accumulators[0]
    changed = type(model)()
    changed.CopyFrom(model)
    name = next(item.name for item in changed.graph.initializer if item.name.endswith("_bias_quantized"))
    for item in changed.graph.initializer:
        if item.name == name:
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) + np.int32(2**30), name))
    after = find_bounds(changed).accumulators[0]
    assert (after.low, after.high) == (before.low + 2**30, before.high + 2**30)
    assert after.partial >= 2**30
