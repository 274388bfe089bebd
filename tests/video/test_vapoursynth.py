"""The VapourSynth filter: the library's pixels, for any frame of any thread, and sentences where a clip does not fit.

VAPOURSYNTH_PYTHON names an interpreter that has VapourSynth and NumPy, where this one has not (it wants Python 3.12).
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interface.library import I010, I420, opened
from toolchain.backends.open import load
from toolchain.bundle import Bundle
from toolchain.runtime.interface import Picture

SOURCE = Path(__file__).parents[2] / "examples" / "vapoursynth.c"
PYTHON = os.environ.get("VAPOURSYNTH_PYTHON", sys.executable)
SCRIPT = """
import json, sys
import numpy as np
import vapoursynth as vs

plugin, library, other, pictures, results = sys.argv[1:]
core = vs.core
core.std.LoadPlugin(plugin)
frames = np.load(pictures)
blank = core.std.BlankClip(format=vs.RGB24, width=frames.shape[2], height=frames.shape[1], length=len(frames))

def put(n, f):
    made = f.copy()
    for plane in range(3):
        np.asarray(made[plane])[:] = frames[n, :, :, plane]
    made.props["number"] = n
    return made

def said(*arguments, **words):
    try:
        core.clipfree.Upscale(*arguments, **words).get_frame(0)
    except vs.Error as error:
        return str(error)
    return ""

clip = core.std.ModifyFrame(blank, blank, put)
large = []
for words in ({}, {"streams": 1}, {"streams": 3, "threads": 2}):
    made = list(core.clipfree.Upscale(clip, library, **words).frames())
    assert [frame.props["number"] for frame in made] == list(range(len(frames)))
    large.append(np.stack([np.stack([np.asarray(frame[plane]) for plane in range(3)], -1) for frame in made]))
np.save(results, np.stack(large))
for form, depth in ((vs.YUV420P8, np.uint8), (vs.YUV420P10, np.uint16)):
    names = {"matrix_s": "709", "range_s": "full", "chromaloc_s": "center"}
    even = core.resize.Bicubic(clip, width=32, height=20, format=form, **names)
    for name, found in (("small", even), ("large", core.clipfree.Upscale(even, library))):
        assert found.format.id == form
        frame = found.get_frame(3)
        planes = np.concatenate([np.asarray(frame[plane]).astype(depth).ravel() for plane in range(3)])
        np.save(f"{results}.{name}.{np.dtype(depth).itemsize}.npy", planes)
variable = core.std.Splice([blank, core.std.BlankClip(format=vs.RGB24, width=8, height=8)], mismatch=True)
print(json.dumps({
    "absent": said(clip, "/absent.so"),
    "foreign": said(clip, plugin),
    "no library": said(clip, other),
    "yuv": said(core.std.BlankClip(format=vs.YUV444P8), library),
    "matrix": said(core.std.BlankClip(format=vs.YUV420P8).std.SetFrameProps(_Matrix=14), library),
    "place": said(core.std.BlankClip(format=vs.YUV420P8).std.SetFrameProps(_ChromaLocation=5), library),
    "deep": said(core.std.BlankClip(format=vs.RGB48), library),
    "variable": said(variable, library),
    "none": said(clip, library, threads=0),
    "many": said(clip, library, streams=1000),
}))
"""


def _include() -> str:
    code = "import numpy, vapoursynth; print(vapoursynth.get_include())"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("there is no VapourSynth here")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def said(real_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script printed, with the pictures it was given and those that came out."""
    include, folder = _include(), tmp_path_factory.mktemp("vapoursynth")
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler here")
    flags = ["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    folders = [f"-I{real_bundle.path}", f"-I{include}"]
    plugin = folder / "clipfree.so"
    subprocess.run([compiler, *flags, *folders, SOURCE, "-o", plugin, "-ldl", "-lpthread"], check=True)
    pictures = np.random.default_rng(0).integers(0, 256, (7, 21, 33, 3), dtype=np.uint8)
    np.save(folder / "small.npy", pictures)
    (folder / "text.so").write_text("no library")
    words = [plugin, real_bundle.path / "model.so", folder / "text.so", folder / "small.npy", folder / "large.npy"]
    done = subprocess.run([PYTHON, "-c", SCRIPT, *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    yuv = {name: np.load(folder / f"large.npy.{name}.npy") for name in ("small.1", "large.1", "small.2", "large.2")}
    return {**json.loads(done.stdout), "small": pictures, "large": np.load(folder / "large.npy"), **yuv}


def test_every_frame_is_the_librarys(said: dict[str, Any], real_bundle: Bundle):
    upscale = load(real_bundle).upscale
    for run in said["large"]:
        for small, large in zip(said["small"], run, strict=True):
            assert np.array_equal(large, upscale(small))


def planes_of(samples: np.ndarray, kind: int, height: int, width: int) -> Picture:
    """Luma and chroma, one after the other, as a picture of BT.709, full range, chroma in the centre."""
    sizes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    made, first = Picture(ctypes.sizeof(Picture), kind, height, width, matrix=2, range=2, site=2), 0
    for index, (rows, columns) in enumerate(sizes):
        made.planes[index] = samples.ctypes.data + first * samples.itemsize
        made.strides[index], first = columns * samples.itemsize, first + rows * columns
    return made


@pytest.mark.parametrize(("kind", "size"), [(I420, 1), (I010, 2)])
def test_luma_and_chroma_are_the_librarys(kind: int, size: int, said: dict[str, Any], real_bundle: Bundle):
    small, found = said[f"small.{size}"], said[f"large.{size}"]
    height, width, _ = real_bundle.manifest.geometry.enlarged((20, 32, 3))
    expected = np.zeros_like(found)
    with opened(real_bundle.path / "model.so") as network:
        network.call(planes_of(small, kind, 20, 32), planes_of(expected, kind, height, width))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("absent", "clipfree: /absent.so: cannot open shared object file"),
        ("foreign", "is no network's library of this version"),
        ("no library", "clipfree: "),
        ("yuv", "clips are RGB24, GRAY8, YUV420P8 or YUV420P10, and of one size"),
        ("deep", "clips are RGB24, GRAY8, YUV420P8 or YUV420P10, and of one size"),
        ("variable", "clips are RGB24, GRAY8, YUV420P8 or YUV420P10, and of one size"),
        ("matrix", "the matrix of luma and chroma must be BT.601, BT.709 or BT.2020"),
        ("place", "chroma must lie on the left, in the centre or at the top left of its pixels"),
        ("none", "threads and streams are 1 to 256"),
        ("many", "threads and streams are 1 to 256"),
    ],
)
def test_what_does_not_fit_is_a_sentence(said: dict[str, Any], case: str, sentence: str):
    assert sentence in said[case]
