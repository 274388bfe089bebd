"""Inputs beside the picture: a noise level, a map of it, a strength. Each is one number in what is deployed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.sr_models import Builder
from toolchain.cli import main
from toolchain.cli.inputs import parse_inputs
from toolchain.frontend import load_model, normalize
from toolchain.frontend.inputs import set_inputs, spare_inputs
from toolchain.frontend.probe import run
from toolchain.quantize.plan import make_plan
from toolchain.support.errors import InputError, ModelError


def denoiser(level: Any = (1, 1, "height", "width"), *, first: bool = False) -> onnx.ModelProto:
    """x2 whose picture comes with a map of noise levels, and with a strength of its residual, which has a default."""
    b = Builder()
    mapped = "height" in level
    x = b.node("Concat", "input", "noise level", axis=1) if mapped else b.node("Add", "input", "noise level")
    x = b.node("Relu", b.conv(x, 4 if mapped else 3, 8, identity=3))
    x = b.node("Mul", b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2), "strength", out="output")
    info = helper.make_tensor_value_info
    ends = [
        info("input", TensorProto.FLOAT, [1, 3, "height", "width"]),
        info("noise level", TensorProto.FLOAT, level),
        info("strength", TensorProto.FLOAT, [1]),
    ]
    b.initializers.append(helper.make_tensor("strength", TensorProto.FLOAT, [1], [1.0]))
    graph = helper.make_graph(
        b.nodes,
        "net",
        ends[::-1] if first else ends,
        [info("output", TensorProto.FLOAT, [1, 3, "h2", "w2"])],
        b.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("level", [(1, 1, "height", "width"), (1, 3, 1, 1), (1,), ()])
@pytest.mark.parametrize("first", [False, True])
def test_the_network_with_one_value(level: Any, first: bool) -> None:
    import onnxruntime as ort

    model = denoiser(level, first=first)
    assert list(spare_inputs(model)) == ["noise level"]
    sr = normalize(set_inputs(model, {"noise level": 0.25}), value_range="0..1")
    picture = np.random.default_rng(0).random((1, 3, 19, 22), np.float32)
    shape = [{"height": 19, "width": 22}.get(side, side) for side in level]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"input": picture, "noise level": np.full(shape, 0.25, np.float32)})
    np.testing.assert_allclose(run(sr.model, picture), want, atol=1e-5)
    assert make_plan(sr).float_operators == (
        () if "height" in level else ("Pad",)
    )  # which lies beyond the picture's codes


def test_without_a_value_the_option_is_named() -> None:
    with pytest.raises(ModelError, match="2 inputs and 1 outputs") as caught:
        normalize(denoiser(), value_range="0..1")
    assert "--input noise level=NUMBER" in caught.value.hint


def test_what_cannot_be_set() -> None:
    with pytest.raises(InputError, match="no input 'sigma' beside its picture; there are: noise level"):
        set_inputs(denoiser(), {"sigma": 1.0})
    with pytest.raises(InputError, match="no input 'input' beside its picture"):
        set_inputs(denoiser(), {"input": 1.0})
    with pytest.raises(ModelError, match="'noise level' has free sides"):
        set_inputs(denoiser((1, "n")), {"noise level": 1.0})
    text = denoiser((1,))
    text.graph.input[1].type.tensor_type.elem_type = TensorProto.STRING
    with pytest.raises(ModelError, match="no tensor of numbers"):
        set_inputs(text, {"noise level": 1.0})


@pytest.mark.parametrize("word", ["sigma", "=3", "sigma=", "sigma=nan", "sigma=much"])
def test_words_that_are_not_understood(word: str) -> None:
    with pytest.raises(InputError, match=f"--input {word} is not understood"):
        parse_inputs([word])


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_it_is_deployed_with_one_value(tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "denoiser.onnx"
    onnx.save(denoiser(), path)
    assert main(["inspect", str(path)]) == 3
    assert "--input noise level=NUMBER" in capsys.readouterr().err
    value = ["--input", "noise level=0.25", "--range", "0..1"]
    assert main(["inspect", str(path), *value, "--target", "host"]) == 0
    assert "all in integers" in capsys.readouterr().out
    out = str(tmp_path / "out.clipfree")
    assert (
        main(["deploy", str(path), *value, "--calib", str(photo_folder), "--no-cache", "--budget", "0", "-o", out]) == 0
    )
    report = json.loads((Path(out) / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["inputs"] == {"noise level": 0.25}
    assert [case["difference"] for case in report["verification"]] == [0] * len(report["verification"])
    assert load_model(path).graph.input[1].name == "noise level"
