"""Embedded models are found by name; a near miss is answered by the right one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.support.errors import CalibrationError, InputError
from toolchain.zoo import demo_photos
from toolchain.zoo.demo_photos import demo_photographs
from toolchain.zoo.embedded import list_models, resolve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("xlsr_x3", "abpn_x3"):
        (tmp_path / f"{name}.onnx").write_bytes(b"model")
    (tmp_path / "xlsr_x3.json").write_text(json.dumps({"psnr": 33.0}))
    (tmp_path / "abpn_x3.json").write_text("broken")
    return tmp_path


def test_list(folder: Path):
    assert [(model.name, model.card) for model in list_models(folder)] == [("abpn_x3", {}), ("xlsr_x3", {"psnr": 33.0})]


def test_resolve(folder: Path):
    assert resolve("zoo:xlsr_x3", folder=folder) == folder / "xlsr_x3.onnx"
    assert resolve(str(folder / "abpn_x3.onnx")) == folder / "abpn_x3.onnx"


def test_unknown(folder: Path):
    with pytest.raises(InputError, match="no embedded model called 'xlsr_3x'; did you mean zoo:xlsr_x3"):
        resolve("zoo:xlsr_3x", folder=folder)
    with pytest.raises(InputError, match="there are: abpn_x3, xlsr_x3"):
        resolve("zoo:quick", folder=folder)
    with pytest.raises(InputError, match="none came with this installation"):
        resolve("zoo:quick", folder=folder / "absent")
    with pytest.raises(InputError, match="there is no file"):
        resolve("absent.onnx")


def test_demo_photographs_are_real_files():
    pytest.importorskip("skimage")
    photographs = demo_photographs()
    assert "astronaut.png" in [path.name for path in photographs]
    assert all(path.stat().st_size > 10_000 for path in photographs)


def test_without_scikit_image(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo_photos.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CalibrationError, match=r"--calib, or `pip install scikit-image`"):
        demo_photographs()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_library_of_xlsr_is_small(tmp_path: Path):
    """With its C interface, and nothing left to strip; compiled anew, in a process of its own."""
    words = ["deploy", "zoo:xlsr_x3", "--target", "x86-avx512vnni", "-o", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "toolchain.cli", *words], check=True, capture_output=True)
    library = tmp_path / "xlsr_x3.clipfree" / "model.so"
    assert library.stat().st_size < 300_000
    if shutil.which("strip"):
        subprocess.run(["strip", "-o", tmp_path / "stripped.so", library], check=True)
        assert (tmp_path / "stripped.so").stat().st_size == library.stat().st_size
