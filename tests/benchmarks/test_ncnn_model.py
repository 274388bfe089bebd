"""The files written for ncnn: read without it, and run where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from contestants import UnsupportedError
from contestants.ncnn_model import write_ncnn
from tests.sr_models import Builder


def network() -> onnx.ModelProto:
    """Two readers of the input, a fused and a free activation, groups, concatenation, sum, shuffle, clip."""
    b = Builder(3)
    x = b.node("Relu", b.conv("input", 3, 8))
    x = b.conv(x, 8, 8, groups=2)
    x = b.prelu(x, 8)
    x = b.node("Concat", x, b.conv("input", 3, 4, 1), axis=1)
    x = b.conv(x, 12, 12, identity=3, repeat=4)
    x = b.node("Add", x, b.conv("input", 3, 12))
    b.clip(b.depth_to_space(x, 2), 0.0, 1.0, out="output")
    return b.model(3, 2)


def written(folder: Path, **options: dict[str, float]) -> tuple[list[list[str]], bytes]:
    write_ncnn(network(), folder / "net.param", folder / "net.bin", **options)
    lines = (folder / "net.param").read_text().splitlines()
    assert lines[0] == "7767517"
    layers = [line.split() for line in lines[2:]]
    counts = [len(layers), sum(int(layer[3]) for layer in layers)]
    assert lines[1] == " ".join(map(str, counts))
    return layers, (folder / "net.bin").read_bytes()


def test_layers(tmp_path: Path) -> None:
    layers, weights = written(tmp_path)
    assert [layer[0] for layer in layers] == [
        "Input",
        "Split",
        "Convolution",
        "ConvolutionDepthWise",
        "PReLU",
        "Convolution",
        "Concat",
        "Convolution",
        "Convolution",
        "BinaryOp",
        "PixelShuffle",
        "Clip",
    ]
    assert layers[1][2:] == ["1", "3", "input", "input_0", "input_1", "input_2"]
    assert "9=1" in layers[2]  # the Relu behind it
    assert "7=2" in layers[3]
    assert layers[10][-2:] == ["0=2", "1=0"]
    values = 8 * 27 + 8 + 8 * 36 + 8 + 8 + 4 * 3 + 4 + 12 * 108 + 12 + 12 * 27 + 12
    assert len(weights) == 4 * values + 4 * 5  # a tag for each of five convolutions


def test_integers_are_handed_on_where_only_convolutions_read_them(tmp_path: Path) -> None:
    ranges = {node.input[0]: 1.0 for node in network().graph.node if node.op_type == "Conv"}
    layers, weights = written(tmp_path, ranges=ranges)
    terms = [word for layer in layers for word in layer if word.startswith("8=")]
    assert terms == ["8=101", "8=1", "8=1", "8=1", "8=1"]
    assert weights[:4] == np.array([0x000D4B38], "<u4").tobytes()
    codes = np.frombuffer(weights, np.int8, 8 * 27, 4).reshape(8, 27)
    assert (np.abs(codes.astype(int)).max(axis=1) == 127).all()  # each channel has its own scale


def test_other_operators_are_refused(tmp_path: Path) -> None:
    b = Builder()
    b.node("Sigmoid", b.conv("input", 3, 3), out="output")
    with pytest.raises(UnsupportedError, match="Sigmoid"):
        write_ncnn(b.model(3, 1), tmp_path / "net.param", tmp_path / "net.bin")


@pytest.mark.parametrize("int8", [False, True])
def test_ncnn_agrees(tmp_path: Path, int8: bool) -> None:
    ncnn = pytest.importorskip("ncnn")
    model = network()
    image = np.random.default_rng(0).random((1, 3, 18, 21), dtype=np.float32)
    names = sorted({node.input[0] for node in model.graph.node if node.op_type == "Conv"} - {"input"})
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    expected, *inner = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": image})
    ranges = {"input": 1.0, **{name: float(np.abs(v).max()) for name, v in zip(names, inner, strict=True)}}
    written(tmp_path, **({"ranges": ranges} if int8 else {}))
    net = ncnn.Net()
    assert net.load_param(str(tmp_path / "net.param")) == 0
    assert net.load_model(str(tmp_path / "net.bin")) == 0
    extractor = net.create_extractor()
    extractor.input("input", ncnn.Mat(image[0]).clone())
    _, found = extractor.extract("output")
    np.testing.assert_allclose(np.array(found), expected[0], atol=0.05 if int8 else 1e-4)
