"""Packages of libraries for Windows and macOS, and of OpenCL kernels."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.interface.test_windows import MINGW, WINE, prefix
from tests.opencl.devices import device, environment
from tests.package.conftest import COLOURS, deployed, packed, upscaled
from tests.package.test_cmake import build, need
from tests.package.test_python import environment as python_with
from tests.package.test_refusals import refused
from toolchain.bundle import Bundle, open_bundle
from toolchain.workflows.deploy import Request, deploy

__all__ = ["prefix"]  # a fixture

pytestmark = pytest.mark.emulator


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    need(MINGW)
    words = ("--target", "windows-x86-avx2")
    return deployed(COLOURS, "tiny_x2", photo_folder, tmp_path_factory.mktemp("windows"), *words)


def test_a_program_for_windows(windows: Bundle, colours: Bundle, prefix: dict[str, str], photo: Path, tmp_path: Path):
    need("cmake")
    made = packed(windows, "cmake", tmp_path / "made").rename(tmp_path / "some where else")
    assert (
        packed(windows, "cmake", tmp_path / "again").joinpath("lib/tiny_x2.lib").read_bytes()
        == (made / "lib/tiny_x2.lib").read_bytes()
    )
    done = build(
        made / "share/tiny_x2/example",
        tmp_path / "build",
        made,
        "-DCMAKE_SYSTEM_NAME=Windows",
        f"-DCMAKE_C_COMPILER={MINGW}",
    )
    assert done.returncode == 0, done.stderr
    words = [str(WINE), str(tmp_path / "build/upscale.exe"), "photo.ppm", "large.ppm"]
    subprocess.run(words, check=True, cwd=tmp_path, env=prefix, timeout=240)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))


def test_wheels_for_windows(windows: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (wheel,) = packed(windows, "python", tmp_path / "wheel", "--version", "1.0").iterdir()
    assert wheel.name == "tiny_x2-1.0-py3-none-win_amd64.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tiny_x2/model.dll") == (windows.path / "model.dll").read_bytes()
        assert b'with_name("model.dll")' in archive.read("tiny_x2/__init__.py")
        assert b"Tag: py3-none-win_amd64\n" in archive.read("tiny_x2-1.0.dist-info/WHEEL")
    said = refused(capsys, tmp_path / "deb", windows.path, "--as", "deb")
    assert "is for Windows, not for Debian; a program needs its model.dll and clipfree.h" in said


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs zig: pip install ziglang")
def test_macos(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle = deployed(COLOURS, "tiny_x2", photo_folder, tmp_path, "--target", "macos-arm64")
    (wheel,) = packed(bundle, "python", tmp_path / "wheel", "--version", "1.0").iterdir()
    assert wheel.name == "tiny_x2-1.0-py3-none-macosx_11_0_arm64.whl"
    capsys.readouterr()
    assert "tiny_x2/model.dylib" in zipfile.ZipFile(wheel).namelist()
    assert "is for macOS, not for CMake packages" in refused(capsys, tmp_path / "o", bundle.path, "--as", "cmake")


def test_opencl(colours: Bundle, photo_folder: Path, photo: Path, tmp_path: Path):
    """The wheel and the CMake package of kernels, on this machine's OpenCL."""
    device()
    need("cmake")
    made = deploy(Request(colours.path / "model.qdq.onnx", tmp_path, photo_folder, target="opencl-cpu", name="tiny_x2"))
    bundle, expected = open_bundle(made.path, for_this_machine=False), upscaled(colours, photo)
    (wheel,) = packed(bundle, "python", tmp_path / "wheel").iterdir()
    python = python_with(tmp_path / "environment", wheel)
    words = [str(python), "-m", "tiny_x2", "photo.png", "large.png"]
    subprocess.run(words, check=True, cwd=tmp_path, env=environment(), timeout=240)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.png")), expected)
    prefix = packed(bundle, "cmake", tmp_path / "made")
    assert (prefix / "include/clipfree_opencl.h").is_file()
    assert build(prefix / "share/tiny_x2/example", tmp_path / "build", prefix).returncode == 0
    words = [str(tmp_path / "build/upscale"), "photo.ppm", "large.ppm"]
    subprocess.run(words, check=True, cwd=tmp_path, env=environment(), timeout=240)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), expected)


def test_opencl_on_android(photo_folder: Path, tmp_path: Path):
    need("aarch64-linux-gnu-gcc")
    if shutil.which("nm") is None:
        pytest.skip("needs nm")
    bundle = deployed(COLOURS, "tiny_x2", photo_folder, tmp_path, "--target", "mali-g78")
    module = packed(bundle, "android", tmp_path / "module")
    manifest = (module / "src/main/AndroidManifest.xml").read_text()
    assert '<uses-native-library android:name="libOpenCL.so" android:required="false" />' in manifest
    folder = module / "src/main/jniLibs/arm64-v8a"
    defined = subprocess.run(
        ["nm", "-D", "--defined-only", folder / "libtiny_x2_jni.so"], capture_output=True, text=True, check=True
    )
    assert defined.stdout.split()[2::3] == ["JNI_OnLoad"]
    listed = subprocess.run(["readelf", "-d", folder / "libtiny_x2.so"], capture_output=True, text=True, check=True)
    assert "[libtiny_x2.so]" in listed.stdout
