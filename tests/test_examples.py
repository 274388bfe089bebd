"""The examples are compiled and run as their comments say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolchain.board.pack import compile_program
from toolchain.bundle import Bundle
from toolchain.targets import find_target

BOARDS = Path(__file__).parents[1] / "docs" / "boards.md"
EXAMPLES = Path(__file__).parents[1] / "examples"
UPSCALE = EXAMPLES / "upscale.cc"
CALLED = """
import ctypes, numpy
ctypes.CDLL("./model.so", ctypes.RTLD_GLOBAL)
enlarge = ctypes.CDLL("./enlarge.so").enlarge
small, large = numpy.load("small.npy"), numpy.load("large.npy")
assert enlarge(ctypes.c_void_p(small.ctypes.data), *small.shape[:2], ctypes.c_void_p(large.ctypes.data)) == 0
numpy.save("large.npy", large)
"""
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2")


def upscale(program: Sequence[str], bundle: Bundle, folder: Path) -> None:
    """Run the program on the golden picture, and demand the golden result."""
    picture, expected = bundle.golden()
    small, large = folder / "small.ppm", folder / "large.ppm"
    Image.fromarray(picture).save(small)
    subprocess.run([*program, bundle.path, small, large], check=True, timeout=60)
    assert np.array_equal(np.asarray(Image.open(large)), expected)


@pytest.fixture(scope="module")
def program(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "upscale"
    compile_program(find_target("host").triple, UPSCALE, path, pack)
    for library in pack.glob("*.so"):
        (path.parent / library.name).symlink_to(library)
    return path


@pytest.mark.slow
def test_a_picture_is_upscaled_without_python(program: Path, real_bundle: Bundle, tmp_path: Path):
    upscale([str(program)], real_bundle, tmp_path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["one"], "usage: upscale BUNDLE INPUT.ppm OUTPUT.ppm"),
        (["BUNDLE", "absent.ppm", "out.ppm"], "absent.ppm is no 8-bit P6 file"),
        (["BUNDLE", "short.ppm", "out.ppm"], "short.ppm ends early"),
        (["absent", "good.ppm", "out.ppm"], "absent/model.so"),
        (["BUNDLE", "good.ppm", "absent/out.ppm"], "cannot write absent/out.ppm"),
    ],
)
def test_its_mistakes_are_told(words: list[str], sentence: str, program: Path, real_bundle: Bundle, tmp_path: Path):
    (tmp_path / "good.ppm").write_bytes(b"P6\n3 2\n255\n" + bytes(18))
    (tmp_path / "short.ppm").write_bytes(b"P6\n3 2\n255\n" + bytes(17))
    words = [str(real_bundle.path) if word == "BUNDLE" else word for word in words]
    done = subprocess.run([program, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert sentence in done.stderr


@pytest.fixture(scope="module")
def upscaler(real_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that needs no TVM, beside the library."""
    path = tmp_path_factory.mktemp("examples") / "upscale"
    library = str(real_bundle.path / "model.so")
    words = [str(EXAMPLES / "upscale.c"), f"-I{real_bundle.path}", library, "-Wl,-rpath,$ORIGIN", "-o", str(path)]
    subprocess.run(["cc", *STRICT, *words], check=True)
    shutil.copy(library, path.parent)
    return path


def test_a_picture_is_upscaled_without_tvm(upscaler: Path, real_bundle: Bundle, tmp_path: Path):
    picture, expected = real_bundle.golden()
    Image.fromarray(picture).save(tmp_path / "small.ppm")
    done = subprocess.run([upscaler, "small.ppm", "large.ppm"], cwd=tmp_path, capture_output=True, timeout=60, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), expected)


def shown(language: str) -> str:
    """What docs/boards.md has in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", BOARDS.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_the_function_in_the_documentation(real_bundle: Bundle, tmp_path: Path):
    picture, expected = real_bundle.golden()
    (tmp_path / "enlarge.c").write_text(shown("c"))
    words = [f"-I{real_bundle.path}", str(real_bundle.path / "model.so"), "-o", "enlarge.so"]
    subprocess.run(["cc", *STRICT, "-shared", "-fPIC", "enlarge.c", *words], check=True, cwd=tmp_path)
    shutil.copy(real_bundle.path / "model.so", tmp_path)
    np.save(tmp_path / "small.npy", picture)
    np.save(tmp_path / "large.npy", np.zeros_like(expected))
    # In a process of its own: what TVM links for tests would take its functions from a library that all can see.
    subprocess.run([sys.executable, "-c", CALLED], check=True, cwd=tmp_path, timeout=60)
    large = np.load(tmp_path / "large.npy")
    np.testing.assert_array_equal(large, expected)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["one"], "usage: upscale INPUT.ppm OUTPUT.ppm"),
        (["absent.ppm", "out.ppm"], "absent.ppm is no 8-bit P6 file"),
        (["short.ppm", "out.ppm"], "short.ppm ends early"),
        (["empty.ppm", "out.ppm"], "a picture has a size that the network does not take"),
        (["good.ppm", "absent/out.ppm"], "absent/out.ppm cannot be written"),
    ],
)
def test_mistakes_without_tvm_are_told(words: list[str], sentence: str, upscaler: Path, tmp_path: Path):
    (tmp_path / "good.ppm").write_bytes(b"P6\n3 2\n255\n" + bytes(18))
    (tmp_path / "short.ppm").write_bytes(b"P6\n3 2\n255\n" + bytes(17))
    (tmp_path / "empty.ppm").write_bytes(b"P6\n0 2\n255\n")
    done = subprocess.run([upscaler, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert sentence in done.stderr
