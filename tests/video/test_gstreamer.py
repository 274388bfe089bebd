"""The GStreamer element: the library's pixels, sizes negotiated both ways, and sentences where it cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from toolchain.backends.open import load
from toolchain.bundle import Bundle

SOURCE = Path(__file__).parents[2] / "examples" / "gstreamer.c"
TEST = "videotestsrc num-buffers=2 ! video/x-raw,format=RGB"


@pytest.fixture(scope="module")
def folder(real_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plugin is, and what GStreamer remembers of plugins."""
    compiler, found = shutil.which("cc"), shutil.which("pkg-config")
    if not compiler or not found or not shutil.which("gst-launch-1.0"):
        pytest.skip("there is no C compiler here, no pkg-config, or no gst-launch-1.0")
    words = [found, "--cflags", "--libs", "gstreamer-video-1.0"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("GStreamer's headers are not here")
    made = tmp_path_factory.mktemp("gstreamer")
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    plugin = made / "libgstclipfree.so"
    command = [compiler, *flags, f"-I{real_bundle.path}", SOURCE, "-o", plugin, *told.stdout.split(), "-ldl"]
    subprocess.run(command, check=True)
    return made


def launch(folder: Path, pipeline: str) -> subprocess.CompletedProcess[str]:
    words = ["gst-launch-1.0", "-q", f"--gst-plugin-path={folder}", *pipeline.split()]
    environment = {**os.environ, "GST_REGISTRY": str(folder / "registry.bin")}
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=100, env=environment)


def padded(pixels: np.ndarray) -> bytes:
    """Frames (n, h, w, c) as GStreamer has them: rows are multiples of four bytes."""
    rows = pixels.reshape(*pixels.shape[:2], -1)
    return np.pad(rows, [(0, 0), (0, 0), (0, -rows.shape[2] % 4)]).tobytes()


def unpadded(data: bytes, height: int, width: int, channels: int) -> np.ndarray:
    stride = -(-width * channels // 4) * 4
    rows = np.frombuffer(data, np.uint8).reshape(-1, height, stride)
    return rows[:, :, : width * channels].reshape(-1, height, width, channels)


@pytest.mark.parametrize("format_name", ["rgb", "bgr"])
@pytest.mark.parametrize("size", [(21, 33), (1, 1), (16, 20)])
def test_frames_are_the_librarys(folder: Path, real_bundle: Bundle, format_name: str, size: tuple[int, int]):
    height, width = size
    frames = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    order = slice(None, None, -1 if format_name == "bgr" else 1)
    (folder / "small").write_bytes(padded(frames[..., order]))
    done = launch(
        folder,
        f"filesrc location={folder / 'small'} ! rawvideoparse format={format_name} width={width} height={height} ! "
        f"clipfreeupscale library={real_bundle.path / 'model.so'} threads=2 ! filesink location={folder / 'large'}",
    )
    assert done.returncode == 0, done.stderr
    found = unpadded((folder / "large").read_bytes(), 2 * height, 2 * width, 3)[..., order]
    upscale = load(real_bundle).upscale
    assert np.array_equal(found, np.stack([upscale(frame) for frame in frames]))


def test_sizes_are_negotiated_from_the_end_as_well(folder: Path, real_bundle: Bundle):
    element = f"clipfreeupscale library={real_bundle.path / 'model.so'}"
    done = launch(folder, f"{TEST} ! {element} ! video/x-raw,width=66,height=42 ! filesink location={folder / 'end'}")
    assert done.returncode == 0, done.stderr
    assert (folder / "end").stat().st_size == 2 * 42 * 200
    done = launch(folder, f"{TEST} ! {element} ! video/x-raw,width=67,height=42 ! fakesink")
    assert done.returncode != 0, "no width doubled is odd"
    assert "not" in done.stderr
    assert "linked" in done.stderr or "negotiated" in done.stderr


@pytest.mark.parametrize(
    ("library", "sentence"),
    [
        (None, "clipfreeupscale: the property library names none"),
        ("/absent.so", "cannot open shared object file"),
        ("PLUGIN", "it is no network's library of this version"),
    ],
)
def test_what_is_no_library_is_a_sentence(folder: Path, library: str | None, sentence: str):
    named = "" if library is None else f"library={library.replace('PLUGIN', str(folder / 'libgstclipfree.so'))}"
    done = launch(folder, f"{TEST} ! clipfreeupscale {named} ! fakesink")
    assert done.returncode != 0
    assert sentence in done.stderr


def test_other_formats_are_converted_before(folder: Path, real_bundle: Bundle):
    element = f"clipfreeupscale library={real_bundle.path / 'model.so'}"
    grey = "videotestsrc num-buffers=1 ! video/x-raw,format=GRAY8,width=8,height=8"
    assert launch(folder, f"{grey} ! {element} ! fakesink").returncode != 0
    done = launch(folder, f"{grey} ! videoconvert ! {element} ! videoconvert ! video/x-raw,format=I420 ! fakesink")
    assert done.returncode == 0, done.stderr
