"""The host part of OpenCL bundles and the example in one program, under AddressSanitizer and UBSan."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests import sr_models, watching
from tests.opencl.devices import environment
from tests.standin import QUICK
from toolchain.bundle import open_bundle
from toolchain.workflows.deploy import Request, deploy

pytestmark = pytest.mark.sanitizer

EXAMPLE = Path(__file__).parents[2] / "examples" / "upscale_opencl.c"


def test_it_upscales_and_says_what_is_not_there(photo_folder: Path, tmp_path: Path):
    watching.need()
    drivers = {**environment(), **watching.SETTINGS}
    onnx.save(sr_models.espcn(2, 3, width=8), tmp_path / "net.onnx")
    made = deploy(Request(tmp_path / "net.onnx", tmp_path, photo_folder, target="opencl-cpu", settings=QUICK))
    bundle = open_bundle(made.path, for_this_machine=False)
    headers, app = bundle.path / "opencl" / "host", tmp_path / "app"
    sources = [str(EXAMPLE), *map(str, sorted(headers.glob("*.c")))]
    command = ["cc", "-std=gnu11", *watching.FLAGS, *sources, "-I", str(headers), "-ldl", "-o", str(app)]
    subprocess.run(command, check=True)
    picture, expected = bundle.golden()
    Image.fromarray(picture).save(tmp_path / "small.ppm")

    def run(**more: str) -> tuple[int, str]:
        words = [app, tmp_path / "small.ppm", tmp_path / "large.ppm"]
        done = subprocess.run(words, env={**drivers, **more}, capture_output=True, text=True, timeout=120, check=False)
        assert watching.complaints(done.stderr) == []
        return done.returncode, done.stderr

    assert run()[0] == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), expected)
    code, said = run(CLIPFREE_OPENCL_DEVICE="mali")
    assert code != 0
    assert "finds no processor called 'mali'" in said
