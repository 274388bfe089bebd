"""Float networks on a CPU's OpenCL, within the bounds that hold for CPUs."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests import sr_models
from tests.opencl.devices import device
from toolchain.bundle import open_bundle
from toolchain.deploy import Deployment, Request, deploy
from toolchain.errors import ModelError
from toolchain.opencl.plan import parse_plan


def deployed(model: onnx.ModelProto, out: Path, precision: str, value_range: str | None = None) -> Deployment:
    onnx.save(model, out / "net.onnx")
    return deploy(Request(out / "net.onnx", out, target="adreno-740", precision=precision,
                          value_range=value_range))


@pytest.mark.parametrize(
    ("name", "precision"), [("abpn", "float32"), ("abpn", "float16"), ("xlsr", "float16"), ("sesr", "float32")])
def test_networks(name: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    device()
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    nets = {
        "abpn": lambda: sr_models.abpn(features=6, blocks=1),
        "xlsr": lambda: sr_models.xlsr(width=2, blocks=1),
        "sesr": lambda: sr_models.sesr(channels=3, features=4, blocks=1, prelu=True),
    }
    done = deployed(nets[name](), tmp_path, precision)
    assert done.verified
    assert max(case.difference for case in done.verified) <= 1
    bundle = open_bundle(done.path, for_this_machine=False)
    plan = parse_plan((bundle.path / bundle.manifest.library).read_bytes(), "plan")
    assert len(plan.launches) == bundle.manifest.coverage.convolutions
    assert {buffer.dtype for buffer in plan.buffers} == {precision}


def test_what_has_no_float_kernel_is_named(tmp_path: Path):
    x = sr_models.espcn(2, 3, width=8)
    shuffle = x.graph.node[-1]
    x.graph.node.insert(len(x.graph.node) - 1, onnx.helper.make_node("Tanh", [shuffle.input[0]], ["bent"]))
    shuffle.input[0] = "bent"
    with pytest.raises(ModelError, match="no OpenCL kernel: tanh; deploy it for a CPU"):
        deployed(x, tmp_path, "float32", "0..1")
