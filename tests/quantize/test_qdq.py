"""The canonical QDQ form: valid ONNX, the promised spelling, and the same numbers in onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.quantize.helpers import NETS, network, picture, psnr, quantized, small_model
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.plan import make_plan
from toolchain.reference.program import FloatStep, parse
from toolchain.reference.steps import ConcatStep, ConvStep, SumStep


def codes_of_onnxruntime(model: onnx.ModelProto, pixels: np.ndarray, peak: float) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    zero_points = {constant.name: constant.data_type for constant in copy.graph.initializer}
    quantizers = [node for node in copy.graph.node if node.op_type == "QuantizeLinear"]
    names = [node.output[0] for node in quantizers]
    copy.graph.output.extend(
        helper.make_tensor_value_info(node.output[0], zero_points[node.input[2]], None) for node in quantizers
    )
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {"input": to_float(pixels, (0.0, peak))}), strict=True))


@pytest.mark.parametrize("name", sorted(NETS))
def test_onnxruntime_agrees_within_one_code_almost_everywhere(name: str) -> None:
    """Tolerance: in every tensor at most 1 % of the codes differ, at most 0.1 % by more than one.

    onnxruntime computes dequantized floats: near a tie it may round to the other side, and later layers see that.
    """
    q = quantized(name)
    onnx.checker.check_model(q.model, full_check=True)
    pixels = picture(23, 31, q.channels, 9)
    found = IntegerReference(q.model).tensors(pixels)
    wanted = codes_of_onnxruntime(q.model, pixels, q.value_range[1])
    assert found.keys() == wanted.keys()
    for tensor, codes in found.items():
        assert codes.dtype == np.uint8
        assert codes.shape == wanted[tensor].shape
        difference = np.abs(codes.astype(int) - wanted[tensor])
        assert np.mean(difference > 0) < 0.01, tensor
        assert np.mean(difference > 1) < 0.001, tensor


@pytest.mark.parametrize("name", sorted(NETS))
def test_quantized_pictures_are_near_the_float_ones(name: str) -> None:
    sr, q = network(name), quantized(name)
    pixels = picture(40, 50, q.channels, 11)
    real = FloatModel(sr.model).run(to_float(pixels, sr.value_range))[0].transpose(1, 2, 0)
    wanted = np.clip(np.rint(real * (255 / sr.value_range[1])), 0, 255).astype(np.uint8)
    found = IntegerReference(q.model).run(pixels)
    assert found.shape == (40 * sr.scale, 50 * sr.scale, sr.channels)
    assert psnr(found, wanted) > 38


@pytest.mark.parametrize("name", sorted(NETS))
def test_every_convolution_is_an_integer_kernel_and_nothing_is_clipped(name: str) -> None:
    q = quantized(name)
    steps = parse(q.model).steps
    kinds = [node.op_type for node in q.model.graph.node]
    assert sum(isinstance(step, ConvStep) for step in steps) == kinds.count("Conv") + kinds.count("ConvTranspose")
    assert not any(isinstance(step, FloatStep) for step in steps)
    assert "Clip" not in kinds
    assert make_plan(network(name)).float_operators == ()


@pytest.mark.parametrize("name", sorted(NETS))
def test_the_ends_are_pixels_and_types_are_canonical(name: str) -> None:
    q = quantized(name)
    constants = {item.name: numpy_helper.to_array(item) for item in q.model.graph.initializer}
    quantizers = [node for node in q.model.graph.node if node.op_type == "QuantizeLinear"]
    pixel = np.float32(q.value_range[1] / 255)
    for node in (quantizers[0], quantizers[-1]):
        assert constants[node.input[1]] == pixel
        assert constants[node.input[2]] == 0
    assert all(constants[node.input[2]].dtype == np.uint8 for node in quantizers)
    for node in q.model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            codes = constants[node.input[0]]
            assert codes.dtype in (np.int8, np.int32)
            assert codes.dtype == np.int32 or np.abs(codes.astype(int)).max() <= 127
    assert [v.name for v in (*q.model.graph.input, *q.model.graph.output)] == ["input", "output"]
    names = [name for node in q.model.graph.node for name in node.output]
    assert len(names) == len(set(names))


def test_concatenated_tensors_share_a_quantization() -> None:
    steps = parse(quantized("xlsr").model).steps
    (concat,) = [step for step in steps if isinstance(step, ConcatStep)]
    assert {part.quantization for part in concat.parts} == {concat.out.quantization}


def test_the_anchor_keeps_the_pixels_quantization_and_is_a_residual() -> None:
    steps = parse(quantized("abpn").model).steps
    (concat,) = [step for step in steps if isinstance(step, ConcatStep)]
    last = steps[-2]
    assert isinstance(last, ConvStep)
    assert last.residual is not None
    assert last.residual.tensor == concat.out.tensor
    assert concat.out.quantization == steps[0].out.quantization
    assert not any(isinstance(step, SumStep) for step in steps)


def conv(source: str, name: str, channels: int, constants: dict[str, np.ndarray], seed: int = 0) -> onnx.NodeProto:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 0.1, (channels, channels, 3, 3)).astype(np.float32)
    weight[np.arange(channels), np.arange(channels), 1, 1] += 1
    constants[f"{name}.weight"] = weight
    constants[f"{name}.bias"] = rng.normal(0, 0.01, channels).astype(np.float32)
    return helper.make_node("Conv", [source, f"{name}.weight", f"{name}.bias"], [name], name=name, pads=[1] * 4)


def test_a_convolution_that_is_read_twice_is_rounded_before_the_sum() -> None:
    constants: dict[str, np.ndarray] = {}
    nodes = [
        conv("input", "first", 3, constants),
        conv("first", "second", 3, constants, 1),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Add", ["first", "second"], ["sum"]),
        helper.make_node("Add", ["sum", "positive"], ["output"]),
    ]
    sr = small_model(nodes, constants)
    plan = make_plan(sr)
    assert "first" in plan.points
    assert "second" not in plan.points
    assert plan.float_operators == ()
    q = quantize(sr, [picture(40, 40, 3)], Settings(crop=40))
    steps = parse(q.model).steps
    assert [type(step).__name__ for step in steps] == ["InputStep", "ConvStep", "SumStep", "ConvStep", "SumStep"]
    pixels = picture(20, 22, 3, 5)
    wanted = codes_of_onnxruntime(q.model, pixels, 1.0)
    for name, codes in IntegerReference(q.model).tensors(pixels).items():
        assert np.abs(codes.astype(int) - wanted[name]).max() <= 1, name


def test_a_tensor_may_be_added_to_itself() -> None:
    constants: dict[str, np.ndarray] = {}
    nodes = [
        conv("input", "first", 3, constants),
        helper.make_node("Add", ["first", "first"], ["twice"]),
        conv("twice", "output", 3, constants, 1),
    ]
    constants["output.weight"] /= 2
    sr = small_model(nodes, constants)
    q = quantize(sr, [picture(40, 40, 3)], Settings(crop=40))
    assert [type(step).__name__ for step in parse(q.model).steps] == ["InputStep", "ConvStep", "SumStep", "ConvStep"]
    pixels = picture(20, 22, 3, 5)
    wanted = FloatModel(sr.model).run(to_float(pixels, sr.value_range))[0].transpose(1, 2, 0)
    assert psnr(IntegerReference(q.model).run(pixels), np.clip(np.rint(255 * wanted), 0, 255).astype(np.uint8)) > 42


def test_what_has_no_integer_form_stays_float_between_quantizers() -> None:
    constants: dict[str, np.ndarray] = {}
    nodes = [
        conv("input", "first", 3, constants),
        helper.make_node("Softmax", ["first"], ["bent"], axis=1),
        helper.make_node("Tanh", ["bent"], ["twice"]),
        conv("twice", "output", 3, constants, 1),
    ]
    q = quantize(small_model(nodes, constants), [picture(40, 40, 3)], Settings(crop=40))
    (step,) = [step for step in parse(q.model).steps if isinstance(step, FloatStep)]
    assert step.operators == ("Softmax", "Tanh")
    pixels = picture(20, 22, 3, 5)
    wanted = codes_of_onnxruntime(q.model, pixels, 1.0)
    for name, codes in IntegerReference(q.model).tensors(pixels).items():
        assert np.abs(codes.astype(int) - wanted[name]).max() <= 1, name


@pytest.mark.parametrize(("high", "scale"), [(0.9, 0.9), (40.0, None)])
def test_an_inner_clip_that_is_reached_is_the_quantization_range(high: float, scale: float | None) -> None:
    constants = {"low": np.float32(0), "high": np.float32(high)}
    nodes = [
        conv("input", "first", 3, constants),  # type: ignore[arg-type]
        helper.make_node("Clip", ["first", "low", "high"], ["clipped"]),
        conv("clipped", "output", 3, constants, 1),  # type: ignore[arg-type]
    ]
    sr = small_model(nodes, {name: np.asarray(value) for name, value in constants.items()})
    found = quantize(sr, [picture(40, 40, 3)], Settings(crop=40)).recipe.tensors[1]
    assert found.name == "clipped"
    if scale is not None:
        assert found.scale[0] == np.float32(scale / 255)
    else:
        assert found.scale[0] < 2 / 255
    assert found.zero_point == (0,)


def test_pixels_beside_features_keep_their_own_quantization() -> None:
    constants: dict[str, np.ndarray] = {}
    nodes = [
        conv("input", "first", 3, constants),
        helper.make_node("Concat", ["input", "first"], ["both"], axis=1),
    ]
    rng = np.random.default_rng(0)
    constants["w"] = rng.normal(0, 0.4, (3, 6, 1, 1)).astype(np.float32)
    constants["b"] = np.full(3, 0.2, np.float32)
    nodes.append(helper.make_node("Conv", ["both", "w", "b"], ["output"], pads=[0] * 4))
    q = quantize(small_model(nodes, constants), [picture(40, 40, 3)], Settings(crop=40))
    (concat,) = [step for step in parse(q.model).steps if isinstance(step, ConcatStep)]
    pixels, features = concat.parts
    assert pixels.quantization.zero_point == 0
    assert features.quantization == concat.out.quantization != pixels.quantization
    wanted = codes_of_onnxruntime(q.model, picture(20, 22, 3, 5), 1.0)
    for name, codes in IntegerReference(q.model).tensors(picture(20, 22, 3, 5)).items():
        assert np.abs(codes.astype(int) - wanted[name]).max() <= 1, name
