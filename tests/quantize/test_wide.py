"""Tensors kept at 16 bits: what a user pins, what is written, and what the arithmetic of two bytes means."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.quantize.helpers import QUICK, heavy, network, picture, pictures, psnr, quantized
from toolchain.kernels.intrinsics import dot_product
from toolchain.quantize import IntegerReference, QuantizedModel, Settings, quantize
from toolchain.quantize.fidelity import compare_tensors, list_parts, write_variant
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.foreign import canonicalize
from toolchain.quantize.overrides import choose_bits
from toolchain.quantize.plan import make_plan
from toolchain.reference.bounds import find_bounds
from toolchain.reference.convolution import Convolution
from toolchain.reference.network import describe_network
from toolchain.reference.program import parse
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import ConvStep
from toolchain.support.errors import CalibrationError, ModelError


@cache
def widened(name: str, pattern: str = "*") -> QuantizedModel:
    sr = network(name)
    return quantize(sr, pictures(sr.channels), replace(QUICK, bits={pattern: 16}))


def wide_names(model: QuantizedModel) -> set[str]:
    return {tensor.name for tensor in model.recipe.tensors if tensor.dtype == "uint16"}


def test_a_pin_reaches_the_tensor_and_those_that_share_its_range() -> None:
    sr = network("xlsr")
    plan = make_plan(sr)
    joined = next(node.output[0] for node in sr.model.graph.node if node.op_type == "Concat")
    found = wide_names(widened("xlsr", joined))
    assert found == {point for point in plan.points if plan.group[point] == plan.group[joined]}
    assert len(found) > 1
    assert widened("xlsr", joined).recipe.settings["bits"] == {joined: 16}


def test_everything_but_the_ends_can_have_16_bits() -> None:
    activations = [tensor for tensor in widened("espcn").recipe.tensors if tensor.role == "activation"]
    assert [tensor.dtype for tensor in activations] == ["uint8", "uint16", "uint16", "uint8"]


def test_8_bits_are_as_before() -> None:
    sr = network("espcn")
    same = quantize(sr, pictures(sr.channels), replace(QUICK, bits={"*": 8}))
    assert same.model == quantized("espcn").model
    assert same.model.opset_import[0].version == 17


@pytest.mark.parametrize("name", ["xlsr", "sesr", "abpn"])
def test_16_bits_come_nearer_to_the_float_network(name: str) -> None:
    sr = network(name)
    pixels = picture(40, 44, sr.channels, 9)
    low, high = sr.value_range
    real = FloatModel(sr.model).run(to_float(pixels, sr.value_range))[0].transpose(1, 2, 0)
    exact = np.clip(np.rint((real - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
    narrow, wide = (IntegerReference(model.model).run(pixels) for model in (quantized(name), widened(name)))
    assert psnr(wide, exact) > psnr(narrow, exact) + 1


@pytest.mark.parametrize("name", ["xlsr", "fsrcnn", "abpn"])
def test_onnxruntime_agrees_with_the_integers(name: str) -> None:
    model = widened(name)
    onnx.checker.check_model(model.model, full_check=True)
    assert [item.version for item in model.model.opset_import] == [21]
    pixels = picture(33, 41, model.channels, 4)
    session = onnxruntime.InferenceSession(model.model.SerializeToString(), providers=["CPUExecutionProvider"])
    (real,) = session.run(None, {session.get_inputs()[0].name: to_float(pixels, model.value_range)})
    low, high = model.value_range
    codes = np.rint((real[0].transpose(1, 2, 0) - low) * (255 / (high - low))).astype(int)
    far = np.abs(codes - IntegerReference(model.model).run(pixels))
    assert far.max() <= 1
    assert np.mean(far > 0) < 0.001


def test_what_was_written_can_be_read_again() -> None:
    model = widened("xlsr")
    again = canonicalize(model.model)
    assert wide_names(again) == wide_names(model)
    pixels = picture(20, 23, 3)
    np.testing.assert_array_equal(IntegerReference(again.model).run(pixels), IntegerReference(model.model).run(pixels))


def test_the_network_says_what_16_bits_cost() -> None:
    network = describe_network(widened("xlsr").model)
    readers = [layer for layer in network.layers if layer.bits == 16]
    assert len(readers) == len(network.layers) - 2  # which read the picture
    doubled = sum(layer.macs_per_pixel for layer in readers)
    assert network.doubled_per_pixel == doubled
    assert f"{doubled / network.macs_per_pixel:.1%} more" in network.describe_wide()
    narrow = describe_network(quantized("xlsr").model)
    assert (narrow.describe_wide(), narrow.doubled_per_pixel) == ("", 0)
    assert narrow.peak_values_per_pixel < network.peak_values_per_pixel <= 2 * narrow.peak_values_per_pixel


def test_fidelity_knows_16_bits() -> None:
    model, shown = widened("xlsr"), picture(24, 20, 3, 5)
    values = FloatModel(write_variant(model, list_parts(model))).run(to_float(shown, model.value_range))[0]
    pixels = np.rint(values.transpose(1, 2, 0) * 255)
    assert np.abs(pixels - IntegerReference(model.model).run(shown)).max() <= 1
    narrow = {tensor.name: tensor for tensor in compare_tensors(quantized("xlsr"), [shown])}
    for tensor in compare_tensors(model, [shown]):
        pinned = tensor.estimator == "pixels"
        assert tensor.bits == (8 if pinned else 16)
        # Half as much again as was seen: 256 / 1.5 as fine, at most.
        assert tensor.own_sqnr > narrow[tensor.name].own_sqnr + (-1 if pinned else 20 * np.log10(256 / 3))


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        ({"nowhere": 16}, "no quantized tensor 'nowhere'"),
        ({"input": 16}, "'input' holds pixels: they have 8 bits"),
    ],
)
def test_what_fits_nothing_is_said(bits: dict[str, int], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        quantize(network("espcn"), pictures(1), replace(QUICK, bits=bits))


def test_contradictions_and_constants_are_said() -> None:
    plan = make_plan(network("xlsr"))
    group = next(g for g in set(plan.group.values()) if sum(plan.group[p] == g for p in plan.points) > 1)
    first, second = [point for point in plan.points if plan.group[point] == group][:2]
    with pytest.raises(CalibrationError, match="share one range, and get two numbers of bits: "):
        choose_bits(plan, {first: 8, second: 16})
    with pytest.raises(CalibrationError, match="'weight' is a constant of the model: only activations"):
        choose_bits(plan, {"weight": 16}, constants=("weight",))
    with pytest.raises(CalibrationError, match="'x' cannot have 12 bits"):
        Settings(bits={"x": 12})


def test_sums_that_could_overflow_are_refused_by_name() -> None:
    sr, plain = heavy(), replace(QUICK, equalize=False, reconstruct=False, correct_bias=False)
    quantize(sr, pictures(3), plain)
    with pytest.raises(ModelError, match=r"accumulator of the convolution 'output_float' can overflow") as raised:
        IntegerReference(quantize(sr, pictures(3), replace(plain, bits={"made": 16})).model)
    assert raised.value.hint == "leave the tensor it reads at 8 bits"


@given(
    st.integers(0, 65535),
    st.lists(st.tuples(st.integers(0, 65535), st.integers(-127, 127)), min_size=4, max_size=4),
    st.integers(-(2**24), 2**24),
    st.sampled_from(["avx512vnni", "neon-dotprod"]),
)
def test_sums_over_two_bytes_are_sums_over_codes(
    zero: int, pairs: list[tuple[int, int]], bias: int, instruction_set: str
) -> None:
    dot = dot_product(instruction_set)
    codes, weights = np.array(pairs, np.int64).T
    laid = weights.astype(np.int16).reshape(1, 4, 1, 1)
    start = int(dot.folded(np.array([bias]), laid, zero, wide=True)[0])
    high, low = (int(((byte - dot.offset) * weights).sum()) for byte in (codes >> 8, codes & 255))
    assert (high << 8) + start + low == bias + int(((codes - zero) * weights).sum())


@given(st.integers(0, 65535), st.integers(0, 9), st.integers(-(2**20), 2**20))
def test_no_partial_sum_is_larger_than_said(zero: int, seed: int, bias: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (1, 8, 1, 1)).astype(np.int8)
    convolution = Convolution(weights, np.array([bias], np.int32))
    said = convolution.partial(zero, 65535)
    extremes = np.where(weights.reshape(-1) > 0, 65535, 0)
    for codes in (rng.integers(0, 65536, 8), extremes, 65535 - extremes, np.full(8, 255), np.full(8, 32767)):
        for offset in (0, 128):
            terms = weights.reshape(-1).astype(np.int64)
            start = bias + (257 * offset - zero) * terms.sum()
            high = 256 * np.cumsum(terms * ((codes >> 8) - offset))
            low = high[-1] + start + np.cumsum(terms * ((codes & 255) - offset))
            assert max(np.abs(high).max(), abs(high[-1] + start), np.abs(low).max()) <= said


def test_bounds_hold_for_16_bits() -> None:
    model = widened("xlsr")
    bounds = find_bounds(model.model)
    assert bounds.proved
    assert bounds.clips(*model.value_range)
    codes = IntegerReference(model.model).tensors(picture(30, 31, 3, 2))
    for name, found in codes.items():
        known = bounds.codes[name]
        assert found.dtype == known.low.dtype
        assert (found[0] >= known.low).all()
        assert (found[0] <= known.high).all()
    steps = {step.accumulator: step for step in parse(model.model).steps if isinstance(step, ConvStep)}
    for sums in bounds.accumulators:
        convolution, source = steps[sums.name].convolution, steps[sums.name].source.quantization
        assert sums.partial <= max(convolution.partial(source.zero_point, source.qmax), 2**20)


@given(st.floats(-100, -0.0078125, width=32), st.floats(0, 100, width=32))
def test_ranges_of_16_bits(low: float, high: float) -> None:
    found = Quantization.of_range(low, high, bits=16)
    assert found.zero_point % 256 == found.zero_point // 256
    assert abs(found.low - low) <= 0.0021 * (found.high - found.low)
    assert found.high - found.low == pytest.approx(high - low, rel=1e-5)


@given(st.floats(-8, 8, width=32), st.integers(0, 65535))
def test_codes_of_16_bits(value: float, zero: int) -> None:
    quantization = Quantization(float(np.float32(1 / 4096)), zero, 16)
    code = quantization.quantize(np.array([value], np.float32))
    assert code.dtype == np.uint16
    expected = min(max(value, quantization.low), quantization.high)
    assert abs(float(quantization.dequantize(code)[0]) - expected) <= quantization.scale * 0.5001
