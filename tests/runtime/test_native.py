"""Libraries through their own C interface, as `clipfree run` loads them: TVM stays where it is."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photograph
from toolchain.backends.open import load, load_each_way, load_in_tvm
from toolchain.bundle import LIBRARY, Bundle
from toolchain.images import read_photo
from toolchain.images.geometry import Geometry
from toolchain.runtime.interface import Network
from toolchain.runtime.native import NativeRunner, open_native
from toolchain.runtime.runner import Runner
from toolchain.support.errors import BundleError, InputError
from toolchain.support.versions import Versions

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

WITHOUT = """
import sys
from toolchain.cli import main
code = main(sys.argv[1:])
assert not {"tvm", "tvm_ffi", "onnx", "onnxruntime"} & sys.modules.keys(), [*sys.modules]
sys.exit(code)
"""


def mapped(path: Path) -> bool:
    return str(path.resolve()) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["inspect", "--help"]])
def test_help_imports_neither_tvm_nor_onnx(words: list[str]):
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_run_imports_neither_tvm_nor_onnx(real_bundle: Bundle, tmp_path: Path):
    pixels = photograph(20, 31, 5)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    words = ["run", str(real_bundle.path), str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(read_photo(tmp_path / "b.png").pixels, load_in_tvm(real_bundle).upscale(pixels))


@pytest.mark.parametrize("threads", [None, 1, 2, 999])
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (9, 14), (40, 33)])
def test_the_same_bytes_as_tvm_makes(real_bundle: Bundle, threads: int | None, size: tuple[int, int]):
    runner, pixels = load(real_bundle, threads=threads), photograph(*size, 7)
    assert isinstance(runner, NativeRunner)
    expected = load_in_tvm(real_bundle).upscale(pixels)
    assert np.array_equal(runner.upscale(pixels), expected)
    flipped = pixels[::-1, ::-1]  # not contiguous
    assert np.array_equal(runner.upscale(flipped), load_in_tvm(real_bundle).upscale(flipped))
    call = runner.bind(pixels)
    assert np.array_equal(call(), expected)
    assert call() is call()
    assert runner.upscale(pixels) is not runner.upscale(pixels)


def test_each_way(real_bundle: Bundle):
    assert [type(way) for way in load_each_way(real_bundle)] == [NativeRunner, Runner]


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_does_not_fit_is_refused(real_bundle: Bundle, pixels: np.ndarray):
    with pytest.raises(InputError, match=r"takes u8 pixels \(height, width, 3\)"):
        load(real_bundle).upscale(pixels)


def test_a_library_for_other_pictures(real_bundle: Bundle):
    with pytest.raises(BundleError, match="is for other pictures, not what its bundle says"):
        open_native(real_bundle.path / LIBRARY, Geometry(3, 4))


def test_a_library_without_code(tmp_path: Path):
    """What looks like a library as far as its names go."""
    from tests import elves

    path = tmp_path / LIBRARY
    path.write_bytes(elves.library(defines=["clipfree_get_functions"]))
    with pytest.raises(BundleError, match=r"model\.so cannot be loaded: "):
        open_native(path, Geometry(3, 2))
    path.write_bytes(elves.library())
    assert open_native(path, Geometry(3, 2)) is None


def test_another_tvm_matters_where_tvm_loads(real_bundle: Bundle):
    versions = dataclasses.replace(Versions.installed(), tvm="0.1.0")
    other = Bundle(real_bundle.path, dataclasses.replace(real_bundle.manifest, versions=versions))
    pixels = photograph(8, 8, 1)
    assert np.array_equal(load(other).upscale(pixels), load(real_bundle).upscale(pixels))
    with pytest.raises(BundleError, match=r"was made with apache-tvm 0\.1\.0"):
        load_in_tvm(other)
    with pytest.raises(BundleError, match=r"was made with apache-tvm 0\.1\.0"):
        load_each_way(other)


def test_libraries_go_with_their_networks(real_bundle: Bundle, tmp_path: Path):
    """Else another library of the same name would not be loaded."""
    path = Path(shutil.copy(real_bundle.path / LIBRARY, tmp_path))
    one, other = Network(path), Network(path)
    assert mapped(path)
    one.close()
    one.close()
    assert mapped(path)
    del other
    gc.collect()
    assert not mapped(path)
