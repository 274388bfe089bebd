"""Libraries for macOS: read here, and run by a program for Linux that puts them into memory. No Mac has seen them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.interface.foreign import read_or_refuse_damaged, run
from tests.interface.library import random_picture
from tests.interface.macho import image
from tests.interface.test_programs import library, runs_layer_by_layer, streams
from tests.sr_models import espcn
from toolchain.bundle import open_bundle
from toolchain.cli import main
from toolchain.quantize import IntegerReference
from toolchain.support.errors import TargetError
from toolchain.targets import find_target
from toolchain.targets.elf import check_library, read_library

ARM, X86 = "macos-arm64", "macos-x86-avx2"

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs zig: pip install ziglang"),
]


@pytest.mark.parametrize("make", [streams, runs_layer_by_layer])
@pytest.mark.parametrize("name", [ARM, X86])
def test_a_picture(make: object, name: str, tmp_path: Path):
    model: onnx.ModelProto = make()  # type: ignore[operator]
    pixels = random_picture((45, 38, 3))
    expected = IntegerReference(model).run(pixels)
    target = find_target(name)
    found = run(library(model, tmp_path, target), image, target, pixels, expected.shape[0] // 45)
    np.testing.assert_array_equal(found, expected)


def test_what_it_defines_and_needs(tmp_path: Path):
    path = library(streams(), tmp_path, find_target(ARM))
    found = read_library(path)
    assert {"clipfree_open", "clipfree_upscale", "clipfree_get_functions", "__tvm_ffi__library_bin"} <= {*found.defines}
    assert found.libraries == ("/usr/lib/libSystem.B.dylib",)
    assert {"__ulock_wait", "pthread_create"} <= found.needs
    assert not [name for name in found.needs if "TVM" in name or "atexit" in name]
    (tmp_path / "again").mkdir()
    assert library(streams(), tmp_path / "again", find_target(ARM)).read_bytes() == path.read_bytes()
    with pytest.raises(TargetError, match=r"is a library for aarch64, not for x86_64-apple-macosx11\.0"):
        check_library(path, "x86_64-apple-macosx11.0")
    with pytest.raises(TargetError, match=r"is not a shared library \(ELF\)"):
        check_library(path, "aarch64-linux-gnu")


def test_a_library_that_is_damaged_is_read_or_refused(tmp_path: Path):
    whole = library(streams(), tmp_path, find_target(ARM)).read_bytes()
    sizes = (0, 1, 12, 40, 200, 400, 1000, len(whole) // 2)
    read_or_refuse_damaged(whole, tmp_path / "x.dylib", "aarch64-apple-macosx11.0", "macOS", sizes, 2048)


def test_a_bundle(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    onnx.save(espcn(2, 3, width=8), tmp_path / "net.onnx")
    words = ["deploy", str(tmp_path / "net.onnx"), "--calib", str(photo_folder), "-o", str(tmp_path), "--budget", "0"]
    assert main([*words, "--target", "apple-m2"]) == 0
    assert "not verified: made for macOS, not run here" in capsys.readouterr().err
    path = tmp_path / "net.clipfree"
    opened = open_bundle(path, for_this_machine=False)
    assert (opened.manifest.target.name, opened.manifest.library) == (ARM, "model.dylib")
    assert "clipfree_open" in opened.check_library().defines
    Image.new("RGB", (4, 4)).save(tmp_path / "small.png")
    assert main(["run", str(path), str(tmp_path / "small.png"), "-o", str(tmp_path / "large.png")]) == 6
    assert "is for macOS, this machine runs another system; deploy the model again" in capsys.readouterr().err
    assert main([*words, "--target", ARM, "--static"]) == 5
    assert "there are no static libraries for macOS; leave out --static" in capsys.readouterr().err


def test_doctor(capsys: pytest.CaptureFixture[str]):
    assert main(["targets", "doctor", ARM]) == 0
    said = capsys.readouterr().out
    assert "it makes: a library of macOS" in said
    assert "this machine runs no macOS" in said
