"""What can be said of a model is understood wherever one is read, and faults of pictures are named as such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from tests.conftest import photograph
from tests.sr_models import Builder
from toolchain.cli import main
from toolchain.frontend.as_is import AsIs

SIGMA = helper.make_tensor_value_info("sigma", TensorProto.FLOAT, [1, 1, 1, 1])


def model_of(b: Builder, kind: int, *more: onnx.ValueInfoProto) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, kind, [1, 3, f"{name}_h", f"{name}_w"]) for name in ("input", "output")]
    graph = helper.make_graph(b.nodes, "net", [ends[0], *more], ends[1:], b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def noisy() -> onnx.ModelProto:
    """A network that is told how much noise there is."""
    b = Builder(1)
    x = b.node("Relu", b.node("Add", b.conv("input", 3, 8, identity=3), "sigma"))
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    return model_of(b, TensorProto.FLOAT, SIGMA)


def signed() -> onnx.ModelProto:
    """A quantized network whose ends are int8 codes."""
    b = Builder(1)
    codes = b.const(1 / 255), b.const(-128, np.int8)
    x = b.conv(b.node("DequantizeLinear", "input", *codes), 3, 12, identity=3, repeat=4)
    b.node("QuantizeLinear", b.depth_to_space(x, 2), *codes, out="output")
    return model_of(b, TensorProto.INT8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(2):
        Image.fromarray(photograph(60, 72, index)).save(folder / f"{index}.png")
    return folder


def test_inputs_beside_the_picture(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, bundle = tmp_path / "net.onnx", tmp_path / "net.clipfree"
    onnx.save(noisy(), path)
    told = ["--range", "0..1", "--input", "sigma=0.05"]
    common = [str(path), "--calib", str(photos)]
    assert main(["represent", *common, "--range", "0..1", "-o", str(tmp_path / "set")]) == 3
    assert "--input sigma=NUMBER" in capsys.readouterr().err
    assert main(["represent", *common, *told, "-o", str(tmp_path / "set")]) == 0
    assert main(["fidelity", *common, *told, "--crops", "1", "-o", str(tmp_path / "page")]) == 0
    assert main(["deploy", *common, *told, "--no-cache", "-o", str(bundle)]) == 0
    evaluate = ["evaluate", str(bundle), "--hr", str(photos)]
    assert main([*evaluate, "--compare", str(path), *told]) == 0
    assert main([*evaluate, "--input", "sigma=1"]) == 2
    assert "--compare" in capsys.readouterr().err


def test_a_network_of_int8_codes_compares(photos: Path):
    network = AsIs(signed())
    pixels = photograph(20, 24, 3)
    found = network.run(pixels)
    assert (network.scale, found.shape) == (2, (40, 48, 3))
    middle = found[::2, ::2].astype(int) - pixels
    assert np.abs(middle).mean() < 30, "black is not black"


def test_pictures_that_are_too_small_to_calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    b = Builder(1)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    y = b.node("MaxPool", x, kernel_shape=[17, 17], strides=[1, 1])
    y = b.node("GlobalAveragePool", y)
    b.depth_to_space(b.conv(b.node("Mul", x, y), 8, 12), 2, out="output")
    onnx.save(b.model(3, 2), tmp_path / "net.onnx")
    Image.fromarray(photograph(12, 40, 1)).save(tmp_path / "small.png")
    command = ["deploy", str(tmp_path / "net.onnx"), "--calib", str(tmp_path / "small.png"), "--range", "0..1"]
    assert main([*command, "-o", str(tmp_path / "net.clipfree"), "--no-cache"]) != 0
    assert "smaller than the 17 x 17 pixels that the network takes at least" in capsys.readouterr().err


def test_a_representative_set_without_images(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    b = Builder(1)
    weight = b.const(b.rng.normal(0, 9, (12, 3, 3, 3)), stem="weight")
    x = b.node("Conv", "input", weight, b.const([900.0] * 12), pads=[1] * 4)
    b.depth_to_space(x, 2, out="output")
    onnx.save(b.model(3, 2), tmp_path / "net.onnx")
    command = ["deploy", str(tmp_path / "net.onnx"), "--calib", str(photos), "--range", "0..1", "--no-cache"]
    assert main([*command, "-o", str(tmp_path / "net.clipfree")]) == 0
    assert "representative set: empty, as outputs of all" in capsys.readouterr().out
