"""What `clipfree inspect` says of a target before any work is what `clipfree deploy` then does there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.sr_models import Builder, espcn, fsrcnn
from tests.standin import QUICK
from toolchain.cli import main
from toolchain.support.errors import ModelError
from toolchain.workflows.deploy import Deployment, Request, deploy

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


def resized() -> onnx.ModelProto:
    b = Builder()
    x = b.conv("input", 3, 4, identity=3)
    x = b.node("Resize", x, "", b.const([1, 1, 2, 2]), mode="linear", coordinate_transformation_mode="half_pixel")
    b.conv(b.conv(x, 4, 4, identity=3), 4, 3, identity=3, out="output")
    return b.model(3, 2)


def sigmoid() -> onnx.ModelProto:
    b = Builder()
    return _finished(b, b.node("Sigmoid", b.conv("input", 3, 4, identity=3)))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": espcn,
    "reflect": lambda: padded("reflect"),
    "edge": lambda: padded("edge"),
    "crop": cropped,
    "resize": resized,
    "sigmoid": sigmoid,
    "transposed": fsrcnn,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_inspect_says_what_deploy_does(
    name: str, tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / f"{name}.onnx"
    onnx.save(NETWORKS[name](), path)
    asked = [word for target in TARGETS for word in ("--target", target)]
    assert main(["inspect", str(path), "--range", "0..1", *asked, "--json"]) == 0
    for target, outlook in zip(TARGETS, json.loads(capsys.readouterr().out)["model"]["outlooks"], strict=True):
        steps: list[str] = []
        request = Request(path, tmp_path / target, photo_folder, target, value_range="0..1", settings=QUICK)

        def run(request: Request = request, steps: list[str] = steps) -> Deployment:
            return deploy(request, progress=lambda event: steps.append(event.step))

        if outlook["obstacle"]:
            with pytest.raises(ModelError) as refusal:
                run()
            assert outlook["obstacle"] == str(refusal.value)
            assert "calibrate" not in steps, "refused before any photograph is read"
            assert not list((tmp_path / target).glob("*"))
        else:
            said, did = outlook["coverage"], run().manifest.coverage
            assert said["float_operators"] == list(did.float_operators)
            assert (said["integer_macs"], said["convolutions"]) == (did.integer_macs, did.convolutions)
    refused = name not in ("plain", "transposed")
    assert bool(outlook["obstacle"]) == refused, "the GPU's kernels do no more than convolutions, sums and shuffles"
