"""Bundles of OpenCL kernels from the command line: deployed, verified, run and timed on a CPU's OpenCL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.answers import document
from tests.opencl.devices import device
from tests.standin import QUICK
from toolchain.backends.open import load_on
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main
from toolchain.support.errors import BundleError, TargetError
from toolchain.workflows.deploy import Request, deploy


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Bundle:
    """A small XLSR for a phone."""
    device()
    out = tmp_path_factory.mktemp("phone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")  # they take most of the time
        done = deploy(Request(model_file, out, photo_folder, target="mali-g78", settings=QUICK))
    assert done.verified
    return open_bundle(done.path, for_this_machine=False)


def test_the_bundle_is_readable_files(bundle: Bundle):
    names = set(bundle.manifest.files)
    assert {"opencl/plan.json", "opencl/constants.bin"} <= names
    assert {"model.so", "opencl/host/clipfree_opencl.h"} <= names
    kernels = [name for name in names if name.endswith(".cl")]
    assert len(kernels) == len(bundle.manifest.kernels) == bundle.manifest.coverage.convolutions
    for name in kernels:
        text = (bundle.path / name).read_text()
        assert "FP_CONTRACT OFF" in text
        assert f"__kernel void {Path(name).stem}(" in text


def test_the_same_deployment_gives_the_same_bytes(bundle: Bundle, model_file: Path, photo_folder: Path, tmp_path: Path):
    again = deploy(Request(model_file, tmp_path, photo_folder, target="mali-g78", settings=QUICK)).path
    assert (again / "manifest.json").read_bytes() == (bundle.path / "manifest.json").read_bytes()


def test_commands(bundle: Bundle, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, on = str(bundle.path), ["--device", "opencl-cpu"]
    assert main(["verify", path, *on, "--json"]) == 0
    assert document(capsys)["equal"] is True
    photo, big = photo_folder / "photo0.png", tmp_path / "big.png"
    assert main(["run", path, str(photo), "-o", str(big), *on, "--tile", "24"]) == 0
    expected = load_on(bundle, "opencl-cpu").upscale(np.asarray(Image.open(photo)))
    np.testing.assert_array_equal(np.asarray(Image.open(big)), expected)
    capsys.readouterr()
    assert main(["bench", path, *on, "--size", "20x30", "--repeats", "3", "--functions", "--json"]) == 0
    (row,) = document(capsys)["rows"]
    assert row["functions_s"].keys() == set(bundle.manifest.kernels)
    assert main(["evaluate", path, *on, "--hr", str(photo_folder), "--json"]) == 0
    assert document(capsys)["mean"]["bundle"]["psnr_y"] > 15


def test_inspect_says_what_is_expected_of_each_launch(bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", str(bundle.path)]) == 0
    said = capsys.readouterr().out
    assert f"{len(bundle.manifest.kernels)} launches; expected at 360x640" in said
    assert "the others are cut by estimate" in said
    assert main(["inspect", str(bundle.path), "--json"]) == 0
    launches = document(capsys)["launches"]
    assert [launch["kernel"] for launch in launches] == list(bundle.manifest.kernels)
    assert all(launch["occupancy"] > 0 and launch["registers"] <= 64 for launch in launches)
    assert launches[-1]["written"] == 360 * 640 * bundle.manifest.scale**2 * bundle.manifest.channels


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verify", "{}"], "holds OpenCL kernels, no library for a CPU; run them with --device opencl-cpu"),
        (["verify", "{}", "--device", "cuda"], "--device cuda is not known; give opencl-cpu or opencl-gpu"),
        (["bench", "{}", "--device", "opencl-cpu", "--threads", "2"], "an OpenCL device has no --threads"),
        (["verify", "{}", "--device", "opencl-cpu", "--threads", "2"], "an OpenCL device has no --threads"),
    ],
)
def test_mistakes_are_sentences(
    bundle: Bundle, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    assert main([word.format(bundle.path) for word in words]) != 0
    assert sentence in capsys.readouterr().err


def test_a_library_is_no_opencl_bundle(real_bundle: Bundle):
    with pytest.raises(BundleError, match=r"holds a library for .*, no OpenCL kernels; leave --device away"):
        load_on(real_bundle, "opencl-cpu")


def test_a_kernel_that_does_not_build_is_named(bundle: Bundle, tmp_path: Path):
    copy = tmp_path / "copy.clipfree"
    shutil.copytree(bundle.path, copy)
    kernel = bundle.manifest.kernels[1]
    (copy / "opencl" / "kernels" / f"{kernel}.cl").write_text(f"__kernel void {kernel}() {{ nonsense(); }}")
    with pytest.raises(TargetError, match=rf"cannot build the kernel {kernel}: .*nonsense"):
        load_on(Bundle(copy, bundle.manifest), "opencl-cpu")
    (copy / "opencl" / "kernels" / f"{kernel}.cl").unlink()
    with pytest.raises(BundleError, match="lacks a part"):
        load_on(Bundle(copy, bundle.manifest), "opencl-cpu")
    (copy / "opencl" / "constants.bin").write_bytes(b"few")
    shutil.copy(bundle.path / "opencl" / "kernels" / f"{kernel}.cl", copy / "opencl" / "kernels")
    with pytest.raises(BundleError, match=r"constants.bin is too short"):
        load_on(Bundle(copy, bundle.manifest), "opencl-cpu")


def test_a_plan_that_does_not_fit_its_kernels(bundle: Bundle, tmp_path: Path):
    copy = tmp_path / "copy.clipfree"
    shutil.copytree(bundle.path, copy)
    plan = json.loads((copy / "opencl" / "plan.json").read_text())
    plan["launches"][0]["arguments"].pop()
    (copy / "opencl" / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(BundleError, match=r"the launch plan gives kernel .* arguments, it takes"):
        load_on(Bundle(copy, bundle.manifest), "opencl-cpu")


def test_limits_of_a_device_are_told(bundle: Bundle):
    runner = load_on(bundle, "opencl-cpu")
    runner.device = SimpleNamespace(max_mem_alloc_size=1000)
    with pytest.raises(TargetError, match=r"cannot hold a tensor of 0 MB; use smaller tiles"):
        runner.upscale(bundle.golden()[0])


def test_work_groups_that_are_too_large_for_the_device_shrink(bundle: Bundle, tmp_path: Path):
    copy = tmp_path / "copy.clipfree"
    shutil.copytree(bundle.path, copy)
    plan = json.loads((copy / "opencl" / "plan.json").read_text())
    plan["launches"][0]["group"] = [1 << 20, 1, 1]
    (copy / "opencl" / "plan.json").write_text(json.dumps(plan))
    picture, expected = bundle.golden()
    assert np.array_equal(load_on(Bundle(copy, bundle.manifest), "opencl-cpu").upscale(picture), expected)


def test_without_opencl_the_bundle_is_made_but_not_verified(
    model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "pyopencl", None)
    done = deploy(Request(model_file, tmp_path, photo_folder, target="adreno-740", settings=QUICK))
    assert done.verified == ()
    assert "not verified: running OpenCL kernels needs pyopencl; `pip install 'clipfree[opencl]'`" in done.warnings
