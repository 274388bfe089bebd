"""The wheel of a network, installed into an environment that has NumPy and Pillow, and nothing else."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.package.conftest import packed, upscaled
from toolchain.bundle import Bundle
from toolchain.cli import main

NAME = "tiny_x2"


def environment(folder: Path, wheel: Path) -> Path:
    """The Python of a new environment in which pip has installed the wheel."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    words = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", "-q"]
    subprocess.run([*words, "--disable-pip-version-check", str(wheel)], check=True)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for package in ("numpy", "PIL"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        there = Path(spec.origin).parents[1]
        for name in (package, "numpy.libs" if package == "numpy" else "pillow.libs"):
            if (there / name).exists():
                (site / name).symlink_to(there / name)
    return python


@pytest.fixture(scope="module")
def wheel(colours: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("--version", "1.4", "--license", "MIT", "--maintainer", "Ada L. <ada@example.org>")
    (found,) = packed(colours, "python", tmp_path_factory.mktemp("wheel"), *words).iterdir()
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("environment") / "it", wheel)


def say(python: Path, code: str, *words: str, cwd: Path | None = None) -> str:
    command = [str(python), "-I", "-W", "error", "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pixels_are_those_of_run(python: Path, colours: Bundle, photo: Path, tmp_path: Path):
    code = """
import sys
import numpy as np
import tiny_x2
from PIL import Image

image = Image.open("photo.png")
pixels = np.asarray(image)
large = tiny_x2.upscale(pixels)
assert large.dtype == np.uint8 and large.shape == (74, 106, 3)
large_image = tiny_x2.upscale(image, threads=2)
assert isinstance(large_image, Image.Image)
assert np.array_equal(np.asarray(large_image), large)
views = (pixels[::-1], pixels[:, ::-1], pixels[3:9, 5:17], pixels[::2, ::3], np.asfortranarray(pixels), pixels[:1, :1])
for view in views:
    assert np.array_equal(tiny_x2.upscale(view), tiny_x2.upscale(view.copy()))
with tiny_x2.Network(threads=1) as network:
    assert (network.scale, network.channels, network.name) == (2, 3, "tiny_x2")
    assert np.array_equal(network.upscale(pixels), large)
assert "tvm" not in sys.modules and "toolchain" not in sys.modules
np.save("large.npy", large)
"""
    say(python, code, cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "large.npy"), upscaled(colours, photo))


def test_mistakes_are_exceptions(python: Path):
    code = """
import threading
import numpy as np
import tiny_x2

def kind(*arguments, **options):
    try:
        tiny_x2.upscale(*arguments, **options)
    except (TypeError, ValueError, tiny_x2.InterfaceError) as error:
        print(type(error).__name__, error)

kind(np.zeros((4, 5), np.uint8))
kind(np.zeros((4, 5, 3), np.float32))
kind("photo.png")
kind(np.zeros((0, 5, 3), np.uint8))
kind(np.zeros((4, 5, 3), np.uint8), threads=0)
network = tiny_x2.Network()
network.close()
network.close()
try:
    network.upscale(np.zeros((4, 5, 3), np.uint8))
except ValueError as error:
    print(error)
shared, results = tiny_x2.Network(2), []
picture = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
threads = [threading.Thread(target=lambda: results.append(shared.upscale(picture))) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(results) == 4 and all(np.array_equal(results[0], result) for result in results)
"""
    assert say(python, code).splitlines() == [
        "ValueError this network takes (height, width, 3), not (4, 5)",
        "TypeError a picture is an array of uint8 or an image of Pillow, not float32",
        "TypeError a picture is an array of uint8 or an image of Pillow, not str",
        "InterfaceError a picture has a size that the network does not take",
        "ValueError threads are 1 to 256, not 0",
        "the network is closed",
    ]


def test_it_is_a_command(python: Path, colours: Bundle, photo: Path, tmp_path: Path):
    words = [str(python), "-m", NAME]
    subprocess.run([*words, "photo.png", "large.png", "--threads", "1"], check=True, cwd=tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.png")), upscaled(colours, photo))
    done = subprocess.run([*words, "absent.png", "x.png"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "absent.png" in done.stderr


def test_a_network_for_grey_pictures(grey: Bundle, tmp_path: Path):
    (wheel,) = packed(grey, "python", tmp_path / "wheel").iterdir()
    code = """
import numpy as np
import grey_x3
from PIL import Image

pixels = np.random.default_rng(1).integers(0, 256, (19, 23), np.uint8)
large = grey_x3.upscale(pixels)
assert large.shape == (57, 69)
assert np.array_equal(grey_x3.upscale(pixels[..., None])[..., 0], large)
assert np.array_equal(np.asarray(grey_x3.upscale(Image.fromarray(pixels))), large)
try:
    grey_x3.upscale(Image.new("RGB", (4, 4)))
except ValueError as error:
    print(error)
"""
    said = say(environment(tmp_path / "environment", wheel), code)
    assert said == "this network takes grey images, not RGB\n"


def test_what_the_wheel_says(wheel: Path, colours: Bundle):
    machine = colours.manifest.target.triple.split("-")[0]
    assert wheel.name == f"tiny_x2-1.4-py3-none-manylinux2014_{machine}.manylinux_2_17_{machine}.whl"
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    about = "tiny_x2-1.4.dist-info"
    for name, digest, size in csv.reader(files[f"{about}/RECORD"].decode().splitlines()):
        if name == f"{about}/RECORD":
            assert (digest, size) == ("", "")
            continue
        own = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={own}", len(files[name]))
    told = email.message_from_bytes(files[f"{about}/METADATA"])
    assert told["Name"] == "tiny-x2"
    assert told["License-Expression"] == "Apache-2.0 AND MIT"
    assert told["Maintainer-email"] == "Ada L. <ada@example.org>"
    assert told.get_all("Requires-Dist") == ["numpy"]
    assert "tiny_x2.upscale(small)" in told.get_payload()
    tags = email.message_from_bytes(files[f"{about}/WHEEL"]).get_all("Tag")
    assert tags == [f"py3-none-manylinux2014_{machine}", f"py3-none-manylinux_2_17_{machine}"]
    assert files["tiny_x2/model.so"] == (colours.path / "model.so").read_bytes()


def test_the_same_bundle_gives_the_same_bytes(wheel: Path, colours: Bundle, tmp_path: Path):
    words = ("--version", "1.4", "--license", "MIT", "--maintainer", "Ada L. <ada@example.org>")
    (again,) = packed(colours, "python", tmp_path, *words).iterdir()
    assert again.read_bytes() == wheel.read_bytes()


def test_libraries_need_no_younger_c_library_than_the_wheel_says(colours: Bundle):
    told = subprocess.run(["readelf", "-V", str(colours.path / "model.so")], capture_output=True, text=True, check=True)
    assert "GLIBC" not in told.stdout


@pytest.mark.emulator
def test_a_wheel_for_a_raspberry_pi(arm: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    if shutil.which("aarch64-linux-gnu-gcc") is None:
        pytest.skip("needs a C compiler for aarch64")
    (wheel,) = packed(arm, "python", tmp_path / "wheels").iterdir()
    assert wheel.name.endswith("-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl")
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", str(tmp_path / "here")]
    done = subprocess.run([*command, str(wheel)], capture_output=True, text=True)
    assert "is not a supported wheel on this platform" in done.stderr
    assert main(["package", str(arm.path), "--as", "python", "-o", str(tmp_path / "wheels")]) == 8
    assert "exists; remove it, or give the package another --version" in capsys.readouterr().err
