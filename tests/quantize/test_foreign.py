"""QDQ models of other tools: deployed with their ranges, or refused with the reason."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests import sr_models
from tests.quantize.helpers import picture, psnr
from toolchain.frontend import is_quantized, normalize
from toolchain.frontend.as_is import AsIs
from toolchain.quantize import IntegerReference, canonicalize
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.support.errors import ModelError


class Reader:
    """Calibration data as onnxruntime wants it, from ``black`` to ``peak``."""

    def __init__(self, channels: int, peak: float, black: float = 0.0) -> None:
        pictures = [picture(40, 44, channels, seed) for seed in range(3)]
        self.left = [to_float(pixels, (black, peak)) + np.float32(black) for pixels in pictures]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"input": self.left.pop()} if self.left else None


def by_onnxruntime(
    model: onnx.ModelProto, folder: Path, channels: int, peak: float, black: float = 0.0, **options: Any
) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Data(Reader, CalibrationDataReader):  # type: ignore[misc]
        pass

    kinds = {name: getattr(QuantType, options.pop(name)) for name in ("activation_type", "weight_type")}
    onnx.save(model, folder / "float.onnx")
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            folder / "float.onnx",
            folder / "q.onnx",
            Data(channels, peak, black),
            **{"quant_format": QuantFormat.QDQ, **kinds, **options},
        )
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(folder / "q.onnx")


NETS = {
    "xlsr": (lambda: sr_models.xlsr(width=4, blocks=1), 3, 1.0),
    "abpn": (lambda: sr_models.abpn(features=8, blocks=1), 3, 255.0),
    "fsrcnn": (lambda: sr_models.fsrcnn(features=8, shrunk=4, maps=1, kernel=5), 1, 1.0),
    "sesr": (lambda: sr_models.sesr(features=8, blocks=1), 1, 1.0),
}


@pytest.mark.parametrize(
    ("name", "activation", "weight", "per_channel"),
    [
        ("xlsr", "QUInt8", "QInt8", True),
        ("xlsr", "QInt8", "QInt8", False),
        ("abpn", "QInt8", "QInt8", True),
        ("fsrcnn", "QUInt8", "QUInt8", False),
        ("sesr", "QUInt8", "QInt8", True),
        ("sesr", "QUInt16", "QInt8", True),
        ("xlsr", "QInt16", "QInt8", True),
    ],
)
def test_onnxruntimes_models_are_taken_over(
    name: str, activation: str, weight: str, per_channel: bool, tmp_path: Path
) -> None:
    make, channels, peak = NETS[name]
    given = by_onnxruntime(
        make(), tmp_path, channels, peak, activation_type=activation, weight_type=weight, per_channel=per_channel
    )
    q = canonicalize(given)
    onnx.checker.check_model(q.model, full_check=True)
    assert (q.channels, q.value_range) == (channels, (0.0, peak))
    pixels = picture(30, 28, channels, 8)
    real = FloatModel(normalize(make()).model).run(to_float(pixels, (0.0, peak)))[0].transpose(1, 2, 0)
    wanted = np.clip(np.rint(real * (255 / peak)), 0, 255).astype(np.uint8)
    assert psnr(IntegerReference(q.model).run(pixels), wanted) > 33
    inner = [tensor for tensor in q.recipe.tensors if tensor.role == "activation" and tensor.estimator != "pixels"]
    # What is added beside weights without a sign has 16 bits.
    beside = {16} if weight == "QUInt8" else set()
    assert {tensor.bits for tensor in inner} - beside == {16 if "16" in activation else 8}
    if weight == "QInt8":
        assert not any("rounded again" in change for change in q.recipe.changes)
        codes = {
            numpy_helper.to_array(item).tobytes()
            for item in given.graph.initializer
            if item.data_type == TensorProto.INT8 and len(item.dims) == 4
        }
        ours = {
            numpy_helper.to_array(item).tobytes()
            for item in q.model.graph.initializer
            if item.data_type == TensorProto.INT8 and len(item.dims) == 4
        }
        assert codes & ours
        assert len(ours - codes) <= (name == "xlsr")  # the merged convolution


def around_zero(tanh: bool) -> onnx.ModelProto:
    """Black is -1 at both ends."""
    b = sr_models.Builder(5)
    x = b.node("LeakyRelu", b.conv("input", 3, 16, identity=3, noise=0.3), alpha=0.9)
    x = b.conv(x, 16, 12, identity=3, repeat=4)
    x = b.node("Tanh", x) if tanh else x
    b.depth_to_space(x, 2, out="output")
    return b.model(3, 2)


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize(
    ("activation", "symmetric", "said"),
    [("QUInt8", False, None), ("QInt8", False, None), ("QInt8", True, None), ("QInt8", True, "-1..1")],
)
def test_networks_around_zero(tanh: bool, activation: str, symmetric: bool, said: str | None, tmp_path: Path) -> None:
    model, pixels = around_zero(tanh), picture(30, 28, 3, 8)
    options = {"activation_type": activation, "weight_type": "QInt8", "per_channel": True}
    given = by_onnxruntime(
        model, tmp_path, 3, 1.0, -1.0, **options, extra_options={"ActivationSymmetric": True} if symmetric else {}
    )
    q = canonicalize(given, value_range=said)
    doubtful = any("say --range -1..1 if it is not" in warning for warning in q.recipe.warnings)
    assert doubtful == (symmetric and said is None), "such ranges are given to what is never negative, too"
    if doubtful:
        return
    assert q.value_range == (0.0, 1.0)
    assert any("which were -1..1:-1..1" in change for change in q.recipe.changes)
    assert not any("rounded again" in change for change in q.recipe.changes)
    real = FloatModel(model).run(to_float(pixels, (0.0, 2.0)) - np.float32(1))[0].transpose(1, 2, 0)
    wanted = np.clip(np.rint((real + 1) * 127.5), 0, 255).astype(np.uint8)
    assert psnr(IntegerReference(q.model).run(pixels), wanted) > 40


UNSIGNED = np.uint8(0)


def vendor_style(*, zero: Any = UNSIGNED, axis_scale: bool = False) -> onnx.ModelProto:
    """Weights as QuantizeLinear -> DequantizeLinear of float constants, float bias."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.05, (12, 3, 3, 3)).astype(np.float32)
    weight[np.arange(12), np.arange(12) // 4, 1, 1] += 1
    shift = 128 if np.asarray(zero).dtype == np.int8 else 0
    constants = {
        "w": weight,
        "w_s": (np.abs(weight).reshape(12, -1).max(axis=1) / 127).astype(np.float32),
        "w_z": np.zeros(12, np.int8),
        "b": rng.normal(0, 0.02, 12).astype(np.float32),
        "x_s": np.float32(1 / 255),
        "x_z": np.asarray(int(zero) - shift, np.asarray(zero).dtype),
        "y_s": np.full(12, 0.006, np.float32) if axis_scale else np.float32(0.006),
        "y_z": np.full(12, zero) if axis_scale else np.asarray(int(zero) - shift, np.asarray(zero).dtype),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "x_s", "x_z"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_s", "x_z"], ["x"]),
        helper.make_node("QuantizeLinear", ["w", "w_s", "w_z"], ["w_q"], axis=0),
        helper.make_node("DequantizeLinear", ["w_q", "w_s", "w_z"], ["w_f"], axis=0),
        helper.make_node("Conv", ["x", "w_f", "b"], ["y"], pads=[1] * 4),
    ]
    nodes.append(helper.make_node("QuantizeLinear", ["y", "y_s", "y_z"], ["y_q"], axis=1))
    nodes.append(helper.make_node("DequantizeLinear", ["y_q", "y_s", "y_z"], ["y_f"], axis=1))
    nodes.append(helper.make_node("DepthToSpace", ["y_f"], ["output"], blocksize=2, mode="CRD"))
    graph = helper.make_graph(
        nodes,
        "vendor",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, "H", "W"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


@pytest.mark.parametrize("zero", [np.uint8(0), np.int8(0)])
def test_the_vendor_style_is_taken_over(zero: Any) -> None:
    model = vendor_style(zero=zero)
    q = canonicalize(model)
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    (codes,) = [
        numpy_helper.to_array(item)
        for item in q.model.graph.initializer
        if item.data_type == TensorProto.INT8 and len(item.dims) == 4
    ]
    np.testing.assert_array_equal(codes, np.rint(constants["w"] / constants["w_s"].reshape(-1, 1, 1, 1)))
    assert q.recipe.tensors[0].scale == (float(np.float32(1 / 255)),)
    found = IntegerReference(q.model).run(picture(12, 13, 3))
    assert found.shape == (24, 26, 3)
    assert psnr(found[::2, ::2], picture(12, 13, 3)) > 15


def operators(*names: str) -> onnx.ModelProto:
    model = vendor_style()
    model.graph.node[4].op_type = names[0]
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: vendor_style(zero=np.int32(0)), "quantized to int32, not to 8 or 16 bits"),
        (lambda: vendor_style(axis_scale=True), "'y' is quantized per channel"),
        (lambda: operators("QLinearConv"), "'QLinearConv' of the model lacks an input"),
        (lambda: operators("QLinearSoftmax"), "computes with 'QLinearSoftmax', which is not known here"),
        (lambda: operators("ConvInteger"), "ConvInteger 'y' leaves its sums to be scaled"),
        (lambda: operators("DynamicQuantizeLinear"), "DynamicQuantizeLinear 'y' measures its range again"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_with_the_reason(model: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        canonicalize(model())


def test_what_a_file_leaves_in_float_is_kept_at_16_bits(tmp_path: Path) -> None:
    make, channels, peak = NETS["abpn"]
    model = make()
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    given = by_onnxruntime(
        model, tmp_path, channels, peak, activation_type="QUInt8", weight_type="QInt8", nodes_to_exclude=convs[:2]
    )
    q = canonicalize(given)
    assert any("in float: kept at 16 bits" in warning for warning in q.recipe.warnings)
    assert {tensor.bits for tensor in q.recipe.tensors if tensor.role == "activation"} == {8, 16}
    pixels = picture(30, 28, channels, 8)
    assert psnr(IntegerReference(q.model).run(pixels), by_float(model, pixels, peak)) > 40


def by_float(model: onnx.ModelProto, pixels: Any, peak: float) -> Any:
    real = FloatModel(normalize(model).model).run(to_float(pixels, (0.0, peak)))[0].transpose(1, 2, 0)
    return np.clip(np.rint(real * (255 / peak)), 0, 255).astype(np.uint8)


def attention() -> onnx.ModelProto:
    """Sigmoid gates, attention over the whole picture, a sum and a join: what QOperator has operators for."""
    b = sr_models.Builder(7)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3, noise=0.1))
    y = b.conv(x, 8, 8, noise=0.2)
    z = b.node("Mul", y, b.node("Sigmoid", b.conv(y, 8, 8, noise=0.2)))
    gate = b.conv(b.node("GlobalAveragePool", z), 8, 8, k=1, noise=0.3)
    z = b.node("Add", b.node("Mul", z, b.node("Sigmoid", gate)), x)
    z = b.node("LeakyRelu", b.conv(b.node("Concat", z, x, axis=1), 16, 8, identity=3, noise=0.05), alpha=0.1)
    b.depth_to_space(b.conv(z, 8, 12, identity=3, repeat=4), 2, out="output")
    return b.model(3, 2)


@pytest.mark.parametrize("activation", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("name", ["attention", "fsrcnn", "xlsr"])
def test_operators_on_codes_are_spelled_out(name: str, activation: str, tmp_path: Path) -> None:
    from onnxruntime.quantization import QuantFormat

    make, channels, peak = {**NETS, "attention": (attention, 3, 1.0)}[name]
    model = make()
    options = {"activation_type": activation, "weight_type": "QInt8", "per_channel": True}
    given = by_onnxruntime(model, tmp_path, channels, peak, quant_format=QuantFormat.QOperator, **options)
    assert any(node.op_type == "QLinearConv" for node in given.graph.node)
    assert is_quantized(given)
    q = canonicalize(given)
    assert not any("kept at 16 bits" in warning for warning in q.recipe.warnings), "all are quantized"
    pixels = picture(30, 28, channels, 8)
    found = IntegerReference(q.model).run(pixels)
    by_file, exact = AsIs(given, value_range="0..1").run(pixels), by_float(model, pixels, peak)
    assert psnr(found, by_file) > 44
    assert psnr(found, exact) > psnr(by_file, exact) - 0.5


def test_weights_of_16_bits_are_said_to_become_8(tmp_path: Path) -> None:
    model = onnx.version_converter.convert_version(sr_models.abpn(features=8, blocks=1), 21)
    model.ir_version = 10
    given = by_onnxruntime(model, tmp_path, 3, 255.0, activation_type="QUInt16", weight_type="QInt16", per_channel=True)
    q = canonicalize(given)
    convs = sum(node.op_type == "Conv" for node in model.graph.node)
    said = [change for change in q.recipe.changes if "16 bits" in change]
    assert said == [
        f"{convs} convolutions have weights of 16 bits in the file: they were rounded to 8, which is all that kernels "
        "multiply by; deploying the float model with photographs chooses 8 bits that lose less"
    ]
    assert not any("rounded again" in change for change in q.recipe.changes)
    pixels = picture(30, 28, 3, 8)
    assert psnr(IntegerReference(q.model).run(pixels), AsIs(given, value_range="0..255").run(pixels)) > 35


@pytest.mark.parametrize("kind", ["QInt4", "QUInt4"])
def test_weights_of_4_bits_keep_their_codes(kind: str, tmp_path: Path) -> None:
    model = onnx.version_converter.convert_version(sr_models.abpn(features=8, blocks=1), 21)
    model.ir_version = 10
    given = by_onnxruntime(model, tmp_path, 3, 255.0, activation_type="QUInt8", weight_type=kind)
    q = canonicalize(given)
    assert not any("rounded again" in change for change in q.recipe.changes)
    codes = [
        numpy_helper.to_array(item)
        for item in q.model.graph.initializer
        if item.data_type == TensorProto.INT8 and len(item.dims) == 4
    ]
    assert max(np.abs(one).max() for one in codes) <= 15
    pixels = picture(30, 28, 3, 8)
    assert psnr(IntegerReference(q.model).run(pixels), AsIs(given, value_range="0..255").run(pixels)) > 50
