"""Weights of 2 to 8 bits, uniform and by codebook: what they may be, how they are rounded, stored and read again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import helper, numpy_helper

from runtimes import picture_of
from tests.quantize.helpers import QUICK, network, picture, pictures
from tests.quantize.test_pairs import check
from toolchain.frontend import normalize
from toolchain.frontend.load import is_quantized
from toolchain.frontend.packed import unpack
from toolchain.quantize import IntegerReference, QuantizedModel, Settings, canonicalize, quantize
from toolchain.quantize.code_set import CodeSet, codes_of_bits
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.loss import Comparison
from toolchain.quantize.outliers import round_with_outliers
from toolchain.quantize.packing import pack, say_bits
from toolchain.quantize.pipeline import calibrate
from toolchain.quantize.rounding import round_together
from toolchain.quantize.settings import for_deployment
from toolchain.quantize.spelling import for_runtimes
from toolchain.quantize.weight_bits import read_weight_bits
from toolchain.reference.graph import GraphView
from toolchain.support.errors import CalibrationError, InputError, ModelError

FAST = replace(QUICK, tame=False, augment=False)
WAYS = [(2, False), (3, False), (4, False), (6, False), (2, True), (4, True), (5, True)]
SETS = st.builds(lambda way: CodeSet(*way), st.sampled_from([*WAYS, (7, False), (8, False)]))
OUTLIERS = st.builds(
    lambda bits, count: CodeSet(bits, outliers=count, most_outliers=count),
    st.sampled_from([2, 3, 4, 6]),
    st.integers(1, 3),
)
WEIGHTS = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-30, 1.0, -1.0, 64.5]) | st.floats(-2, 2))
)


@cache
def made(name: str, bits: int, codebook: bool, outliers: bool = True) -> QuantizedModel:
    sr = network(name)
    few = replace(FAST, weight_bits={"*": bits}, codebook=codebook, outliers=outliers)
    return quantize(sr, pictures(sr.channels), few)


def codes(model: QuantizedModel) -> dict[str, np.ndarray]:
    constants = GraphView(model.model).constants
    return {t.name: constants[f"{t.name}_quantized"] for t in model.recipe.tensors if t.role == "weight"}


def assert_few_are_large(found: np.ndarray, among: CodeSet) -> None:
    large = np.abs(found.astype(int).reshape(len(found), -1)) > among.limit
    assert large.sum(axis=1).max() <= among.outliers


@given(WEIGHTS, SETS | OUTLIERS)
def test_codes_are_of_the_set_and_safe(weights: np.ndarray, wanted: CodeSet) -> None:
    among = wanted.fitted(weights)
    scale = np.maximum(among.least_scale(weights), 1e-35).reshape(-1, 1, 1, 1)
    found = among.rounded(weights / scale)
    check(found)
    assert_few_are_large(found, among)
    if among.codebook:
        assert set(found.ravel().tolist()) <= set(among.book)
        assert len(among.book) <= 2**among.bits
        distance = np.abs((weights / scale)[..., None] - np.array(among.book)).min(axis=-1)
        np.testing.assert_allclose(np.abs(weights / scale - found), distance, atol=1e-9)
    below, above = (codes.astype(int) for codes in among.neighbours(found.astype(np.float64)))
    assert (below <= found).all()
    assert (above >= found).all()
    if among.codebook:
        assert {*below.ravel().tolist(), *above.ravel().tolist()} <= set(among.book)


@settings(max_examples=30)
@given(WEIGHTS, SETS | OUTLIERS, st.integers(0, 1000), st.booleans())
def test_codes_that_are_rounded_together_are_of_the_set(
    weights: np.ndarray, wanted: CodeSet, seed: int, fixed: bool
) -> None:
    taps = weights[0].size
    data = np.random.default_rng(seed).normal(0, 1, (taps, 3 * taps + 5))
    among = wanted.fitted(weights)
    scale = np.maximum(among.least_scale(weights), 1e-6).astype(np.float32) if fixed else None
    found, _ = round_together(weights, data @ data.T, scale, among)
    check(found)
    assert_few_are_large(found, among)
    assert not among.codebook or set(found.ravel().tolist()) <= set(among.book)


def test_a_codebook_finds_the_values_there_are() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, -0.25, 0.125, 0.5], (4, 8, 3, 3))
    values[:, 0, 0, 0] = 1.0
    among = CodeSet(4, codebook=True).fitted(values)
    assert {-64, -16, 8, 32, 64} <= set(among.book)
    scale = among.least_scale(values).reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(among.rounded(values / scale) * scale, values)


@pytest.mark.parametrize(("bits", "codebook"), WAYS)
@pytest.mark.parametrize("name", ["xlsr", "fsrcnn"])  # grouped, and transposed
def test_every_layer_has_what_was_asked_for(name: str, bits: int, codebook: bool) -> None:
    q = made(name, bits, codebook)
    weights = [tensor for tensor in q.recipe.tensors if tensor.role == "weight"]
    for tensor, found in zip(weights, codes(q).values(), strict=True):
        assert tensor.bits == bits
        if codebook:
            assert len(np.unique(found)) <= 2**bits
            assert set(np.unique(found).tolist()) <= set(tensor.codebook)
        else:
            assert_few_are_large(found, CodeSet(bits, outliers=tensor.outliers))
    plain = [tensor for tensor in weights if not tensor.outliers]
    kinds = [(plain, " by codebook" * codebook), ([t for t in weights if t.outliers], " but for outliers")]
    said = ", ".join(f"{bits} bits{kind} in {len(some)}" for some, kind in kinds if some)
    assert say_bits(q.recipe) == f"weights: {said} convolutions"


def test_less_is_lost_with_more_bits_with_outliers_and_with_a_codebook() -> None:
    sr = network("espcn")
    comparison = Comparison(sr, pictures(sr.channels, 2, 60))

    def error(bits: int, codebook: bool = False, outliers: bool = True) -> float:
        return comparison.mean(comparison.errors(made("espcn", bits, codebook, outliers).model))

    plain = [error(bits, outliers=False) for bits in (8, 6, 4, 2)]
    assert plain == sorted(plain)
    assert error(4, codebook=True) < plain[2]
    assert error(4) < plain[2]
    assert error(2) < plain[3]


def test_an_outlier_leaves_the_others_their_steps() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-7, 8, (4, 8, 3, 3)) * 0.01
    weights[:, 0, 0, 0] = 0.07
    weights[np.arange(4), np.arange(4), 1, 1] = (1.0, -1.1, 0.9, 1.2)
    power = np.eye(72)
    codes, scale, among = round_with_outliers(weights, [power], codes_of_bits(4, codebook=False, outliers=True))
    assert among.outliers == 1
    np.testing.assert_allclose(codes * scale.reshape(-1, 1, 1, 1), weights, atol=1e-6)
    check(codes)
    plain, scale, among = round_with_outliers(weights, [power], codes_of_bits(4, codebook=False, outliers=False))
    assert among.outliers == 0
    assert np.abs(plain).max() <= 7
    assert np.abs(plain * scale.reshape(-1, 1, 1, 1) - weights).max() > 0.04


def test_of_2_bits_a_scale_that_cuts_off_most_of_a_normal_channel_is_tried() -> None:
    """The best steps of three levels are 1.22 deviations, a third of the largest of 288 weights."""
    weights = np.random.default_rng(0).normal(0, 1, (6, 32, 3, 3))
    _, scale = round_together(weights, np.eye(288), None, CodeSet(2))
    assert np.abs(weights).max(axis=(1, 2, 3)).min() > 2.5
    np.testing.assert_allclose(scale, 1.22, rtol=0.12)


def test_weights_without_outliers_get_none() -> None:
    weights = np.random.default_rng(0).uniform(-1, 1, (4, 8, 3, 3))
    among = round_with_outliers(weights, [np.eye(72)], codes_of_bits(4, codebook=False, outliers=True))[2]
    assert among.outliers == 0


def test_names_go_before_long_patterns_before_short_ones() -> None:
    sr = network("espcn")
    outputs = [node.output[0] for node in sr.model.graph.node if node.op_type == "Conv"]
    weight = next(node.input[1] for node in sr.model.graph.node if node.op_type == "Conv")
    asked = {"*": 4, weight: 6, f"{outputs[-1][:2]}*": 5, outputs[-1]: 8}
    found = calibrate(sr, pictures(1), replace(FAST, weight_bits=asked, codebook=True)).codes
    assert found[outputs[0]] == CodeSet(6, codebook=True)
    assert outputs[-1] not in found
    assert {one.bits for output, one in found.items() if output != outputs[0]} <= {4, 5}


def test_channels_of_16_bits_keep_the_weights_bits() -> None:
    sr = network("fsrcnn")
    few = replace(FAST, weight_bits={"*": 4}, codebook=True)
    calibrated = calibrate(sr, pictures(1), few)
    finer = calibrated.rounded({"prelu_5": (1, 2, 5, 7)})
    q = calibrated.described(finer)
    for tensor, found in zip((t for t in q.recipe.tensors if t.role == "weight"), codes(q).values(), strict=True):
        assert tensor.bits == 4
        assert set(np.unique(found).tolist()) <= set(tensor.codebook)
    packed = pack(q.model, q.recipe)
    shown = picture(17, 13, 1, 3)
    unpack(packed)
    np.testing.assert_array_equal(IntegerReference(packed).run(shown), IntegerReference(q.model).run(shown))
    again = calibrated.rewritten({}, finer)
    assert {"prelu_5_fine"}.isdisjoint(t.name for t in calibrated.described(again).recipe.tensors)


@pytest.mark.parametrize(("bits", "codebook"), [(2, True), (3, False), (4, False), (4, True)])
@pytest.mark.parametrize("name", ["xlsr", "sesr_prelu_rgb"])
def test_the_file_is_packed_standard_and_means_the_same(name: str, bits: int, codebook: bool, tmp_path: Path) -> None:
    q = made(name, bits, codebook)
    packed = pack(for_runtimes(q.model), q.recipe)
    onnx.checker.check_model(packed, full_check=True)
    kind = onnx.TensorProto.UINT4 if codebook else onnx.TensorProto.INT4
    kinds = [item.data_type for item in packed.graph.initializer if item.name.endswith("_packed")]
    assert kinds == [kind] * len(codes(q))
    stored = {item.name: len(item.raw_data) for item in packed.graph.initializer}
    outliers = {tensor.name: tensor.outliers for tensor in q.recipe.tensors}
    assert codebook or any(outliers.values())
    for weight, found in codes(q).items():
        assert stored[f"{weight}_quantized_packed"] == (found.size + 1) // 2
        if outliers[weight]:
            large = np.abs(found.astype(int).reshape(len(found), -1)) > 7
            assert large.sum(axis=1).max() <= stored[f"{weight}_quantized_outliers"] // len(found) <= 8
    shown = picture(23, 19, q.channels, 3)
    wanted = IntegerReference(q.model).run(shown)
    taken = canonicalize(packed)
    np.testing.assert_array_equal(IntegerReference(taken.model).run(shown), wanted)
    assert f"{len(codes(q))} weights are stored in 4 bits or fewer" in taken.recipe.changes
    again = pack(taken.model, taken.recipe)
    # What a file does not say is found in its codes: few of them are a codebook, whatever they were.
    packed_again = [item.data_type for item in again.graph.initializer if item.name.endswith("_packed")]
    assert len(packed_again) == len(codes(q))
    assert set(packed_again) <= {onnx.TensorProto.UINT4, onnx.TensorProto.INT4}
    np.testing.assert_array_equal(IntegerReference(canonicalize(again).model).run(shown), wanted)
    path = tmp_path / "model.qdq.onnx"
    onnx.save(packed, path)
    assert np.abs(picture_of("onnxruntime", path, shown, 1 / 255).astype(int) - wanted).max() <= 1


def test_onnxruntime_folds_packed_weights_to_integer_convolutions(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    for codebook in (False, True):
        q = made("espcn", 4, codebook)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        options.log_severity_level = 3
        packed = pack(for_runtimes(q.model), q.recipe).SerializeToString()
        onnxruntime.InferenceSession(packed, options, providers=["CPUExecutionProvider"])
        kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
        assert "QLinearConv" in kinds
        assert not {"Conv", "Cast", "Gather", "ScatterElements", "Reshape"} & kinds


@pytest.mark.parametrize("bits", [5, 8])
def test_more_than_4_bits_are_stored_as_before(bits: int) -> None:
    q = made("espcn", bits, codebook=False)
    assert pack(q.model, q.recipe) == q.model


@pytest.mark.parametrize("codebook", [True, False])
def test_a_float_network_with_packed_weights_is_one(codebook: bool) -> None:
    """Only its weights are stored so: it is quantized here like any other."""
    sr = network("espcn")
    model = onnx.ModelProto.FromString(sr.model.SerializeToString())
    model.opset_import[0].version, model.ir_version = 21, 10
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    shape = GraphView(sr.model).constants[conv.input[1]].shape
    values = np.random.default_rng(0).integers(-7, 8, shape)
    book, scale = np.arange(-8, 8).astype(np.int8) * np.int8(3), np.float32(0.01)
    stored = (values + 8).astype(ml_dtypes.uint4) if codebook else values.astype(ml_dtypes.int4)
    added = [helper.make_node("Cast", ["few"], ["wide"], to=6 if codebook else 3)]
    added += [helper.make_node("Gather", ["book", "wide"], ["real"])] if codebook else []
    added += [helper.make_node("DequantizeLinear", ["real" if codebook else "wide", "step"], ["weights"])]
    conv.input[1] = "weights"
    nodes = [*added, *model.graph.node]
    graph = helper.make_graph(nodes, "g", [], [])
    del model.graph.node[:]
    model.graph.node.extend(graph.node)
    for name, value in (("few", stored), ("book", book), ("step", scale)):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    assert not is_quantized(model)
    found = normalize(model, value_range="0..1")
    shown = to_float(picture(9, 9, 1, 1), sr.value_range)
    plain = onnx.ModelProto.FromString(sr.model.SerializeToString())
    for item in plain.graph.initializer:
        if item.name == next(n for n in sr.model.graph.node if n.op_type == "Conv").input[1]:
            real = (book[values + 8] if codebook else values) * scale
            item.CopyFrom(numpy_helper.from_array(real.astype(np.float32), item.name))
    np.testing.assert_allclose(FloatModel(found.model).run(shown), FloatModel(plain).run(shown), atol=1e-5)


def test_a_codebook_without_such_a_place_is_refused() -> None:
    q = made("espcn", 4, codebook=True)
    packed = pack(q.model, q.recipe)
    for item in packed.graph.initializer:
        if item.name.endswith("_book"):
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item)[:1], item.name))
    with pytest.raises(ModelError, match="names places that its codebook of 1 entries does not have"):
        unpack(packed)


@pytest.mark.parametrize("places", [np.uint8([[3, 72]]), np.int8([[-73, 1]])])
def test_an_outlier_without_a_place_is_refused(places: np.ndarray) -> None:
    values = {
        "few": np.zeros((1, 72), ml_dtypes.int4),
        "places": places,
        "large": np.array([[100, -100]], np.int8),
    }
    nodes = [
        helper.make_node("Cast", ["few"], ["wide"], to=3),
        helper.make_node("Cast", ["places"], ["at"], to=6),
        helper.make_node("ScatterElements", ["wide", "at", "large"], ["whole"], axis=1),
    ]
    end = helper.make_tensor_value_info("whole", 3, [1, 72])
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    with pytest.raises(ModelError, match="'at' names places that 'wide' does not have"):
        unpack(helper.make_model(helper.make_graph(nodes, "g", [], [end], constants)))


def test_few_bits_spend_nothing_unasked() -> None:
    few = Settings(weight_bits={"*": 4})
    assert for_deployment(few) == few
    asked = replace(few, budget=5.0)
    assert for_deployment(asked) == asked


@pytest.mark.parametrize(
    ("words", "found"), [(["4"], {"*": 4}), (["4", "a=b*=8"], {"*": 4, "a=b*": 8}), (["x=2", "x=2"], {"x": 2})]
)
def test_words(words: list[str], found: dict[str, int]) -> None:
    assert read_weight_bits(words) == (found, False)
    if "*" not in found:
        assert read_weight_bits([*words, "auto"]) == (found, True)


def test_all_bits_are_said_or_found() -> None:
    with pytest.raises(InputError, match="--weight-bits auto and 4: which one"):
        read_weight_bits(["auto", "4"])


@pytest.mark.parametrize("word", ["", "=4", "x=", "four", "4.0", "-4", "x=4:1", "9999"])
def test_words_that_are_not_understood(word: str) -> None:
    with pytest.raises(InputError, match="--weight-bits"):
        read_weight_bits([word])


@pytest.mark.parametrize(
    ("bits", "codebook", "said"),
    [
        ({"*": 1}, False, "weights cannot have 1 bits; say 2 to 8"),
        ({"x": 9}, False, "the weights of 'x' cannot have 9 bits"),
        ({}, True, "a codebook is for weights of few bits; say how many"),
        ({"*": 7}, True, "a codebook is for weights of few bits"),
        ({"nowhere*": 4}, False, "the model has no convolution 'nowhere*'"),
        ({"*": 6}, True, "a codebook of 64 entries is larger than"),
    ],
)
def test_what_cannot_be(bits: dict[str, int], codebook: bool, said: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        calibrate(network("fsrcnn"), pictures(1, 1), replace(FAST, weight_bits=bits, codebook=codebook))
    assert said in str(caught.value)
