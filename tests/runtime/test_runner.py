"""The runner on a real library: one that doubles every pixel, compiled here with TVM and linked with our linker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toolchain.images.geometry import Geometry
from toolchain.runtime.runner import Runner
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import BundleError, InputError
from toolchain.targets.linker import find_linker

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

GEOMETRY = Geometry(3, 2)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tvm
    from tvm import relax, tirx

    height, width = tirx.Var("height", "int64"), tirx.Var("width", "int64")
    builder = relax.BlockBuilder()
    pixels = relax.Var("pixels", relax.TensorType((height, width, 3), "uint8"))
    with builder.function("main", [pixels]):
        rows = builder.emit(relax.op.repeat(pixels, 2, 0))
        builder.emit_func_output(builder.emit(relax.op.repeat(rows, 2, 1)))
    path = tmp_path_factory.mktemp("library") / "model.so"
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v2"})
    tvm.compile(builder.get(), target=target).export_library(str(path), fcompile=find_linker("x86_64-linux-gnu"))
    return path


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 3)])
def test_upscale(library: Path, threads: int | None, shape: tuple[int, ...]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runner = Runner(library, GEOMETRY, threads)
    expected = pixels.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(runner.upscale(pixels), expected)
    flipped = pixels[::-1, ::-1]  # not contiguous
    assert np.array_equal(runner.upscale(flipped), expected[::-1, ::-1])
    call = runner.bind(pixels)
    assert np.array_equal(call().numpy(), call().numpy())


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_threads_are_what_was_asked_for_and_tied_to_no_core(library: Path):
    # In a process of its own, with all cores there are: TVM's threads start once, and here other tests may have had
    # them started in another way.
    code = f"""
import os, numpy, tvm
from pathlib import Path
from toolchain.images.geometry import Geometry
from toolchain.runtime.runner import Runner
os.sched_setaffinity(0, range(os.cpu_count()))
before = os.sched_getaffinity(0)
for threads in (1, 2, 1, 2):
    Runner(Path({str(library)!r}), Geometry(3, 2), threads).upscale(numpy.zeros((8, 8, 3), numpy.uint8))
    print(tvm.get_global_func("runtime.NumThreads")(), os.sched_getaffinity(0) == before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TVM_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["1 True", "2 True", "1 True", "2 True"]


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_does_not_fit_is_refused(library: Path, pixels: np.ndarray):
    with pytest.raises(InputError, match=r"takes u8 pixels \(height, width, 3\)"):
        Runner(library, GEOMETRY).upscale(pixels)


def test_what_is_no_library(tmp_path: Path):
    path = tmp_path / "model.so"
    path.write_bytes(b"no library")
    with pytest.raises(BundleError, match=r"model\.so cannot be loaded"):
        Runner(path, GEOMETRY)
