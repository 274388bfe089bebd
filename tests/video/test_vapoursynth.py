"""The VapourSynth filter: the library's pixels, for any frame of any thread, and sentences where a clip does not fit.

VAPOURSYNTH_PYTHON names an interpreter that has VapourSynth and NumPy, where this one has not (it wants Python 3.12).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolchain.backends.open import load
from toolchain.bundle import Bundle

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
variable = core.std.Splice([blank, core.std.BlankClip(format=vs.RGB24, width=8, height=8)], mismatch=True)
print(json.dumps({
    "absent": said(clip, "/absent.so"),
    "foreign": said(clip, plugin),
    "no library": said(clip, other),
    "yuv": said(core.std.BlankClip(format=vs.YUV420P8), library),
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
    return {**json.loads(done.stdout), "small": pictures, "large": np.load(folder / "large.npy")}


def test_every_frame_is_the_librarys(said: dict[str, Any], real_bundle: Bundle):
    upscale = load(real_bundle).upscale
    for run in said["large"]:
        for small, large in zip(said["small"], run, strict=True):
            assert np.array_equal(large, upscale(small))


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("absent", "clipfree: /absent.so: cannot open shared object file"),
        ("foreign", "is no network's library of this version"),
        ("no library", "clipfree: "),
        ("yuv", "this network takes clips of RGB24 and one size"),
        ("deep", "this network takes clips of RGB24 and one size"),
        ("variable", "this network takes clips of RGB24 and one size"),
        ("none", "threads and streams are 1 to 256"),
        ("many", "threads and streams are 1 to 256"),
    ],
)
def test_what_does_not_fit_is_a_sentence(said: dict[str, Any], case: str, sentence: str):
    assert sentence in said[case]
