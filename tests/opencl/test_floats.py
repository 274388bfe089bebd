"""Float networks on a CPU's OpenCL, within the bounds that hold for CPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np
import onnx
import pytest

from tests import sr_models
from tests.answers import document
from tests.lower.compiled import picture
from tests.lower.test_float import (
    built,
    dense,
    framed,
    functions,
    halved,
    joined,
    mixed,
    pooled,
    skewed,
    split,
    unshuffled,
)
from tests.lower.test_float_layers import normalized_pixels, sampled
from tests.lower.test_float_sizes import uneven
from tests.opencl.devices import SMALL, device
from tests.sr_models import Builder
from toolchain.backends.open import load_on
from toolchain.backends.opencl import functions as functions_in_c
from toolchain.backends.opencl.build import compile_opencl_floats
from toolchain.backends.opencl.launches import OpenClProgram
from toolchain.bundle import open_bundle
from toolchain.bundle.launch_plan import parse_plan
from toolchain.cli import main
from toolchain.frontend import SRModel
from toolchain.kernels import float_functions
from toolchain.runtime.opencl.driver import stores_halves
from toolchain.runtime.opencl.runner import OpenClRunner
from toolchain.runtime.verify import standard_for
from toolchain.support.errors import ModelError
from toolchain.targets import find_target
from toolchain.workflows.deploy import Deployment, Request, deploy
from toolchain.workflows.evaluate import float_upscale

Capture: TypeAlias = pytest.CaptureFixture[str]


def deployed(model: onnx.ModelProto, out: Path, precision: str, value_range: str | None = None) -> Deployment:
    onnx.save(model, out / "net.onnx")
    return deploy(Request(out / "net.onnx", out, target="adreno-740", precision=precision, value_range=value_range))


@pytest.mark.parametrize(
    ("name", "precision"), [("abpn", "float32"), ("abpn", "float16"), ("xlsr", "float16"), ("sesr", "float32")]
)
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


def drawn(b: Builder) -> None:
    """No convolution ends the network."""
    x = b.depth_to_space(b.conv("input", 3, 12, identity=3, repeat=4), 2)
    b.node("Add", b.node("Relu", x), x, out="output")


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(
    ("write", "others"),
    [
        (dense, {"copy"}),
        (mixed, {"read_pixels", "combine"}),
        (drawn, {"store_pixels"}),
        (joined, {"depth_to_space"}),
        (functions, {"combine"}),
        (halved, {"space_to_depth", "pool", "enlarge"}),
        (unshuffled, {"space_to_depth", "pool"}),
        (pooled, {"pool_all_partial", "pool_all", "combine"}),
        (split, {"conv"}),
        (framed, {"pad", "crop"}),
        (skewed, {"resample"}),
        (sampled, {"resample"}),
        (normalized_pixels, {"normalize"}),
    ],
)
def test_what_is_no_convolution(
    write: Callable[[Builder], None], others: set[str], precision: str, monkeypatch: pytest.MonkeyPatch
):
    device()
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    model = built(write, scale=4 if write is joined else 2)
    made = assert_close(model, precision, least=4 if write in (sampled, framed) else 1)
    assert others <= {kernel.name.partition("conv")[1] or kernel.name.rstrip("_0123456789") for kernel in made.kernels}
    launched = [launch.kernel for launch in made.plan.launches if not launch.kernel.endswith("_partial")]
    assert [figures.kernel for figures in made.figures] == launched


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_steps_through_any_number_of_rows(precision: str, monkeypatch: pytest.MonkeyPatch):
    device()
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    made = assert_close(built(uneven), precision, ((9, 9), (10, 13)))
    assert {"pad", "crop"} <= {kernel.name.rstrip("_0123456789") for kernel in made.kernels}


def assert_close(
    model: SRModel, precision: str, sizes: Sequence[tuple[int, int]] = SMALL, least: int = 1
) -> OpenClProgram:
    """Its kernels give the float model's pixels, nearly; sides are multiples of ``least``."""
    target, here = find_target("adreno-740"), device()
    assert target.gpu is not None
    made = compile_opencl_floats(model, target, target.gpu, precision)
    sources = {kernel.name: made.prelude + kernel.code for kernel in made.program.kernels}
    runner = OpenClRunner(made.program.plan, sources, made.program.constants, here)
    reference, least = float_upscale(model.model, model.value_range, threads=1), max(model.unit, least)
    for seed, sides in enumerate(sizes):
        height, width = (-(-max(side, least) // least) * least for side in sides)
        pixels = picture(height, width, 3, seed)
        found, expected = runner.upscale(pixels), reference(pixels)
        distance = np.abs(found.astype(int) - expected).max()
        assert distance <= standard_for(precision, ()).tolerance, f"{height} x {width}"
    return made.program


def test_every_function_of_a_formula_has_its_word_in_c():
    assert functions_in_c.FUNCTIONS.keys() == float_functions.FUNCTIONS.keys()


def test_a_gpu_without_float16_keeps_tensors_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    device()
    done = deployed(sr_models.espcn(2, 3, width=8), tmp_path, "float16", "0..1")
    monkeypatch.setattr("toolchain.runtime.opencl.driver.stores_halves", lambda device: False)
    bundle = open_bundle(done.path, for_this_machine=False)
    runner = load_on(bundle, "opencl-cpu")
    assert runner.name.endswith("without cl_khr_fp16: tensors are float32")
    assert {buffer.dtype for buffer in runner.plan.buffers} == {"float32"}
    picture, expected = bundle.golden()
    found = runner.upscale(picture)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert main(["bench", str(done.path), "--device", "opencl-cpu", "--size", "9x9", "--repeats", "1"]) == 0
    assert "without cl_khr_fp16" in capsys.readouterr().out


def test_which_gpus_store_float16():
    for type_, extensions, expected in ((4, "cl_khr_fp16 cl_khr_icd", True), (4, "cl_khr_icd", False), (2, "", True)):
        assert stores_halves(SimpleNamespace(type=type_, extensions=extensions)) is expected


@pytest.mark.parametrize(("target", "precision"), [("adreno-740", "float16"), ("host", "float32")])
def test_float_is_what_suits_the_target(target: str, precision: str, tmp_path: Path, capsys: Capture):
    onnx.save(sr_models.espcn(2, 3, width=8), tmp_path / "net.onnx")
    words = ["deploy", str(tmp_path / "net.onnx"), "--target", target, "--precision", "float", "-o", str(tmp_path)]
    assert main([*words, "--range", "0..1", "--json"]) == 0
    assert document(capsys)["precision"] == precision
    assert (tmp_path / f"net_{precision}.clipfree").is_dir()


def test_what_has_no_float_kernel_is_named(tmp_path: Path):
    x = sr_models.espcn(2, 3, width=8)
    shuffle = x.graph.node[-1]
    x.graph.node.insert(len(x.graph.node) - 1, onnx.helper.make_node("Sin", [shuffle.input[0]], ["bent"]))
    shuffle.input[0] = "bent"
    with pytest.raises(ModelError, match=r"no OpenCL kernel for operator Sin 'bent'; deploy it for a CPU"):
        deployed(x, tmp_path, "float32", "0..1")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_single_convolution_needs_no_buffer(precision: str, photo_folder: Path, tmp_path: Path):
    device()
    b = Builder(2)
    b.depth_to_space(b.conv("input", 3, 12, identity=3, repeat=4), 2, out="output")
    onnx.save(b.model(3, 2), tmp_path / "net.onnx")
    photographs = photo_folder if precision == "int8" else None
    request = Request(
        tmp_path / "net.onnx", tmp_path, photographs, "adreno-740", precision=precision, value_range="0..1"
    )
    done = deploy(request)
    assert done.verified
    assert max(case.difference for case in done.verified) <= (precision == "float32")
