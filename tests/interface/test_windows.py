"""Libraries for Windows: read here, and run by a program under Wine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.interface.foreign import read_or_refuse_damaged
from tests.interface.library import random_picture
from tests.interface.test_programs import EXAMPLES, STRICT, library, runs_layer_by_layer, streams
from tests.sr_models import espcn
from toolchain.bundle import open_bundle
from toolchain.cli import main
from toolchain.quantize import IntegerReference
from toolchain.support.errors import TargetError
from toolchain.targets import find_target
from toolchain.targets.elf import check_library, read_library

TARGET = "windows-x86-avx2"
MINGW = "x86_64-w64-mingw32-gcc"
WINE = next((path for path in map(shutil.which, ("wine64", "wine", "/usr/lib/wine/wine64")) if path), None)

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(shutil.which(MINGW) is None, reason="needs gcc for Windows: apt install gcc-mingw-w64-x86-64"),
]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Wine has of its own: a folder that it makes at first."""
    if WINE is None:
        pytest.skip("needs Wine: apt install wine64")
    return {**os.environ, "WINEPREFIX": str(tmp_path_factory.mktemp("wine") / "it"), "WINEDEBUG": "-all"}


@pytest.mark.parametrize("make", [streams, runs_layer_by_layer])
def test_a_program(make: object, prefix: dict[str, str], tmp_path: Path):
    model: onnx.ModelProto = make()  # type: ignore[operator]
    path = library(model, tmp_path, find_target(TARGET))
    words = [MINGW, "-std=c99", *STRICT, str(EXAMPLES / "upscale.c"), str(path), "-o", str(tmp_path / "upscale.exe")]
    subprocess.run(words, check=True)
    pixels = random_picture((45, 38, 3))
    Image.fromarray(pixels).save(tmp_path / "small.ppm")
    command = [str(WINE), "upscale.exe", "small.ppm", "large.ppm"]
    subprocess.run(command, check=True, cwd=tmp_path, env=prefix, timeout=240)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), IntegerReference(model).run(pixels))


def test_what_it_defines_and_needs(tmp_path: Path):
    path = library(streams(), tmp_path, find_target(TARGET))
    found = read_library(path)
    assert {"clipfree_open", "clipfree_upscale", "clipfree_get_functions", "__tvm_ffi__library_bin"} <= {*found.defines}
    assert set(found.libraries) == {"KERNEL32.dll", "msvcrt.dll", "api-ms-win-core-synch-l1-2-0.dll"}
    assert {"WaitOnAddress", "CreateThread"} <= found.needs
    assert not [name for name in found.needs if "TVM" in name]
    (tmp_path / "again").mkdir()
    assert library(streams(), tmp_path / "again", find_target(TARGET)).read_bytes() == path.read_bytes()
    with pytest.raises(TargetError, match="is a library for x86_64, not for aarch64-windows-gnu"):
        check_library(path, "aarch64-windows-gnu")
    with pytest.raises(TargetError, match=r"is not a shared library \(ELF\)"):
        check_library(path, "x86_64-linux-gnu")


def test_a_library_that_is_damaged_is_read_or_refused(tmp_path: Path):
    whole = library(streams(), tmp_path, find_target(TARGET)).read_bytes()
    sizes = (0, 1, 40, 64, 200, 400, 1000, len(whole) // 2, len(whole) - 600)
    read_or_refuse_damaged(whole, tmp_path / "x.dll", "x86_64-windows-gnu", "Windows", sizes, 1024)


def test_a_bundle(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    onnx.save(espcn(2, 3, width=8), tmp_path / "net.onnx")
    words = ["deploy", str(tmp_path / "net.onnx"), "--calib", str(photo_folder), "-o", str(tmp_path), "--budget", "0"]
    assert main([*words, "--target", TARGET]) == 0
    assert "not verified: made for Windows, not run here" in capsys.readouterr().err
    path = tmp_path / "net.clipfree"
    opened = open_bundle(path, for_this_machine=False)
    assert opened.manifest.library == "model.dll"
    assert "clipfree_open" in opened.check_library().defines
    Image.new("RGB", (4, 4)).save(tmp_path / "small.png")
    assert main(["run", str(path), str(tmp_path / "small.png"), "-o", str(tmp_path / "large.png")]) == 6
    assert "is for Windows, this machine runs another system; deploy the model again" in capsys.readouterr().err
    assert main([*words, "--target", TARGET, "--static"]) == 5
    assert "there are no static libraries for Windows; leave out --static" in capsys.readouterr().err
