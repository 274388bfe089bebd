"""The CMake package and the one for Debian: found, linked with and run, on this machine and for Arm under QEMU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.arm import emulator
from tests.package.conftest import packed, upscaled
from toolchain.bundle import Bundle
from toolchain.targets import architecture

EXAMPLE = Path(__file__).parents[2] / "examples" / "upscale.c"


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


def build(source: Path, build: Path, prefix: Path, *words: str) -> subprocess.CompletedProcess[str]:
    configure = ["cmake", "-S", str(source), "-B", str(build), f"-DCMAKE_PREFIX_PATH={prefix}", *words]
    done = subprocess.run(configure, capture_output=True, text=True)
    if done.returncode == 0:
        subprocess.run(["cmake", "--build", str(build)], check=True, capture_output=True)
    return done


@pytest.fixture(scope="module")
def prefix(colours: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that was moved after it was made."""
    folder = tmp_path_factory.mktemp("cmake")
    packed(colours, "cmake", folder / "made", "--version", "2.5.1")
    return (folder / "made").rename(folder / "some where else")


def test_the_example_is_built_and_run(prefix: Path, colours: Bundle, photo: Path, tmp_path: Path):
    need("cmake")
    assert build(prefix / "share/tiny_x2/example", tmp_path / "build", prefix).returncode == 0
    subprocess.run([tmp_path / "build/upscale", "photo.ppm", "large.ppm"], check=True, cwd=tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))


def test_the_static_library_is_a_target_too(prefix: Path, colours: Bundle, photo: Path, tmp_path: Path):
    need("cmake")
    source = tmp_path / "source"
    shutil.copytree(prefix / "share/tiny_x2/example", source)
    lists = source / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("tiny_x2::tiny_x2)", "tiny_x2::tiny_x2_static)"))
    assert build(source, tmp_path / "build", prefix).returncode == 0
    needed = subprocess.run(["readelf", "-d", str(tmp_path / "build/upscale")], capture_output=True, text=True).stdout
    assert "libtiny_x2" not in needed
    subprocess.run([tmp_path / "build/upscale", "photo.ppm", "large.ppm"], check=True, cwd=tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))


@pytest.mark.parametrize(
    ("wanted", "found"), [("2", True), ("2.5.1 EXACT", True), ("2.6", False), ("1", False), ("3", False)]
)
def test_versions_are_compared(wanted: str, found: bool, prefix: Path, tmp_path: Path):
    need("cmake")
    lists = f"cmake_minimum_required(VERSION 3.10)\nproject(p C)\nfind_package(tiny_x2 {wanted} CONFIG REQUIRED)\n"
    (tmp_path / "CMakeLists.txt").write_text(lists)
    done = build(tmp_path, tmp_path / "build", prefix)
    assert (done.returncode == 0) == found, done.stderr
    if not found:
        assert "2.5.1" in done.stderr


def compiled(compiler: str, pkgconfig: Path, program: Path) -> None:
    """Compile the example with what pkg-config says."""
    need("pkg-config", compiler)
    environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(pkgconfig), "PKG_CONFIG_SYSTEM_LIBRARY_PATH": "/nowhere"}
    words = ["pkg-config", "--cflags", "--libs", "tiny_x2"]
    told = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    flags = re.sub(r"\\(.)", r"\1", told.strip()).split(" -")
    flags = [flags[0], *(f"-{flag}" for flag in flags[1:])]
    subprocess.run([compiler, "-std=c99", str(EXAMPLE), "-o", str(program), *map(str.strip, flags)], check=True)


def test_pkg_config_finds_it(prefix: Path, colours: Bundle, photo: Path, tmp_path: Path):
    compiled("cc", prefix / "lib/pkgconfig", tmp_path / "upscale")
    environment = {"LD_LIBRARY_PATH": str(prefix / "lib")}
    subprocess.run([tmp_path / "upscale", "photo.ppm", "large.ppm"], check=True, cwd=tmp_path, env=environment)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))


@pytest.mark.emulator
def test_on_arm(arm: Bundle, colours: Bundle, photo: Path, tmp_path: Path):
    words = emulator(arm.manifest.target)
    made = packed(arm, "cmake", tmp_path / "made")
    assert not list(made.rglob("*.a"))
    compiled("aarch64-linux-gnu-gcc", made / "lib/pkgconfig", tmp_path / "upscale")
    command = [*words, "-E", f"LD_LIBRARY_PATH={made}/lib", str(tmp_path / "upscale"), "photo.ppm", "large.ppm"]
    subprocess.run(command, check=True, cwd=tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))


def test_a_debian_package(colours: Bundle, photo: Path, tmp_path: Path):
    need("dpkg-deb", "dpkg", "cmake")
    words = ("--license", "CC-BY-4.0", "--maintainer", "Ada L. <ada@example.org>")
    (deb,) = packed(colours, "deb", tmp_path / "deb", "--version", "1.0", *words).iterdir()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[architecture(colours.manifest.target.triple)]
    assert deb.name == f"libtiny-x2_1.0_{machine}.deb"
    told = subprocess.run(["dpkg-deb", "--field", deb], capture_output=True, text=True, check=True).stdout
    assert f"Architecture: {machine}\n" in told
    assert "Maintainer: Ada L. <ada@example.org>\n" in told
    listed = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^-rw-r--r-- root/root +\d+ 1970-01-01 00:00 \./usr/lib/[\w-]+/libtiny_x2\.so$", listed, re.M)
    root = tmp_path / "root"
    subprocess.run(["dpkg", "-x", deb, root], check=True)
    copyright_file = (root / "usr/share/doc/libtiny-x2/copyright").read_text()
    assert "License: Apache-2.0 AND CC-BY-4.0" in copyright_file
    subprocess.run(["dpkg-deb", "--control", deb, tmp_path / "control"], check=True)
    subprocess.run(["md5sum", "--quiet", "-c", tmp_path / "control/md5sums"], check=True, cwd=root)
    (pkgconfig,) = root.glob("usr/lib/*/pkgconfig")
    compiled("cc", pkgconfig, tmp_path / "upscale")
    environment = {"LD_LIBRARY_PATH": str(pkgconfig.parent)}
    subprocess.run([tmp_path / "upscale", "photo.ppm", "large.ppm"], check=True, cwd=tmp_path, env=environment)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))
    (tmp_path / "source").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "source")
    example = Path(__file__).parents[2] / "toolchain/package/templates/cmake/CMakeLists.txt"
    (tmp_path / "source/CMakeLists.txt").write_text(example.read_text().replace("@NAME@", "tiny_x2"))
    assert build(tmp_path / "source", tmp_path / "build", root / "usr").returncode == 0
    (again,) = packed(colours, "deb", tmp_path / "again", "--version", "1.0", *words).iterdir()
    assert again.read_bytes() == deb.read_bytes()
