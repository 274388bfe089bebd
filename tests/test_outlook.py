"""What `clipfree inspect` says of a target before any work is what `clipfree deploy` then does there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.answers import document
from tests.lower.nets import Net
from tests.sr_models import Builder, espcn, fsrcnn
from tests.standin import QUICK
from toolchain.cli import main
from toolchain.support.errors import ModelError
from toolchain.workflows.deploy import Deployment, Request, deploy

pytestmark = pytest.mark.slow

TARGETS = ("host", "cortex-a76", "mali-g78")


def _finished(b: Builder, x: str) -> onnx.ModelProto:
    b.depth_to_space(b.conv(x, 4, 12, identity=3, repeat=4), 2, out="output")
    return b.model(3, 2)


def padded(mode: str) -> onnx.ModelProto:
    b = Builder()
    pads = b.const([0, 0, 2, 2, 0, 0, 2, 2], np.int64)
    x = b.conv("input", 3, 4, identity=3)
    x = b.node("Pad", x, pads, mode=mode)
    kept = [b.const(values, np.int64) for values in ([2, 2], [-2, -2], [2, 3])]
    return _finished(b, b.node("Slice", b.conv(x, 4, 4, identity=3), *kept))


def cropped() -> onnx.ModelProto:
    return padded("constant")


def resized(coordinates: str) -> onnx.ModelProto:
    b = Builder()
    x = b.conv("input", 3, 4, identity=3)
    x = b.node("Resize", x, "", b.const([1, 1, 2, 2]), mode="linear", coordinate_transformation_mode=coordinates)
    b.conv(b.conv(x, 4, 4, identity=3), 4, 3, identity=3, out="output")
    return b.model(3, 2)


def sigmoid() -> onnx.ModelProto:
    b = Builder()
    return _finished(b, b.node("Sigmoid", b.conv("input", 3, 4, identity=3)))


def means() -> onnx.ModelProto:
    b = Builder()
    x = b.node("Sub", "input", b.const(np.reshape([0.4488, 0.4371, 0.404], (1, 3, 1, 1))))
    return _finished(b, b.node("Relu", b.conv(x, 3, 4, identity=3)))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": espcn,
    "reflect": lambda: padded("reflect"),
    "edge": lambda: padded("edge"),
    "crop": cropped,
    "resize": lambda: resized("half_pixel"),
    "corners": lambda: resized("align_corners"),
    "sigmoid": sigmoid,
    "means": means,
    "transposed": fsrcnn,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_inspect_says_what_deploy_does(
    name: str, tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / f"{name}.onnx"
    onnx.save(NETWORKS[name](), path)
    for target, outlook in zip(TARGETS, outlooks(path, capsys, *TARGETS), strict=True):
        request = Request(path, tmp_path / target, photo_folder, target, value_range="0..1", settings=QUICK)
        assert not outlook["obstacle"]
        assert_foreseen(outlook, request)


def outlooks(path: Path, capsys: pytest.CaptureFixture[str], *targets: str, precision: str = "int8") -> Any:
    """What inspect says of each target."""
    asked = [word for target in targets for word in ("--target", target)]
    assert main(["inspect", str(path), "--range", "0..1", "--precision", precision, *asked, "--json"]) == 0
    return document(capsys)["model"]["outlooks"]


def assert_foreseen(outlook: Any, request: Request) -> None:
    """Deploying ends as ``outlook`` says."""
    steps: list[str] = []

    def run() -> Deployment:
        return deploy(request, progress=lambda event: steps.append(event.step))

    if outlook["obstacle"]:
        with pytest.raises(ModelError) as refusal:
            run()
        assert outlook["obstacle"] == str(refusal.value)
        assert "calibrate" not in steps, "refused before any photograph is read"
        assert not list(request.out.glob("*"))
    else:
        manifest = run().manifest
        said, did = outlook["coverage"], manifest.coverage
        assert said["float_operators"] == list(did.float_operators)
        assert said["macs"] == did.macs
        if request.precision == "int8":
            # Photographs make two convolutions of one where some of its channels get 16 bits.
            in_float = said["convolutions"] - said["integer_convolutions"]
            assert (in_float, said["integer_macs"]) == (did.convolutions - did.integer_convolutions, did.integer_macs)
        else:
            assert said["convolutions"] == did.convolutions
        assert (outlook["segments"] > 0) == (manifest.line_buffers > 0)
        if manifest.target.gpu is not None:
            assert outlook["layered"] is None


@pytest.mark.parametrize("name", ["plain", "sigmoid"])
@pytest.mark.parametrize(("target", "precision"), [("host", "float32"), ("mali-g78", "float16")])
def test_float_deployments_are_foreseen_too(
    name: str, target: str, precision: str, tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / f"{name}.onnx"
    onnx.save(NETWORKS[name](), path)
    (outlook,) = outlooks(path, capsys, target, precision="float")
    assert outlook["precision"] == precision
    assert not outlook["obstacle"]
    assert_foreseen(
        outlook, Request(path, tmp_path / "o", photo_folder, target, value_range="0..1", precision=precision)
    )
    assert main(["inspect", str(path), "--range", "0..1", "--precision", "float", "--target", target]) == 0
    out = capsys.readouterr().out
    words = {
        "plain": "all in float kernels",
        "sigmoid": "all in float kernels",
    }
    title = "FP16" if target == "mali-g78" else "FP32"
    assert f"{title} on {outlook['target']}: {words[name]}" in out


def test_what_came_quantized_is_foreseen_too(tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]):
    net = Net()
    path = tmp_path / "bent.onnx"
    onnx.save(net.model(net.conv(net.quantized(net.node("Softmax", net.conv(net.input, 8).name, axis=1), 8), 3)), path)
    for precision in ("int8", "float32"):
        (outlook,) = outlooks(path, capsys, "mali-g78", precision=precision)
        assert ("operator Softmax" if precision == "int8" else "is quantized already") in outlook["obstacle"]
        assert_foreseen(outlook, Request(path, tmp_path / "o", photo_folder, "mali-g78", precision=precision))


def test_what_this_machine_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    onnx.save(espcn(), tmp_path / "net.onnx")
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("toolchain.targets.linker.importlib.util.find_spec", lambda name: None)
    assert main(["inspect", str(tmp_path / "net.onnx"), "--range", "0..1", "--target", "cortex-a76"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "INT8 on cortex-a76" in line]
    assert "all in integers; not from this machine: " in line
    assert "pip install ziglang" in line
