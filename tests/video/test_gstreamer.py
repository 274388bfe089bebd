"""The GStreamer element: the library's pixels, sizes negotiated both ways, and sentences where it cannot be."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.interface.library import opened
from toolchain.backends.open import load
from toolchain.bundle import Bundle
from toolchain.runtime.interface import Picture

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


@pytest.mark.parametrize("name", ["I420", "NV12", "NV21", "RGBA", "BGRA", "GRAY8", "I420_10LE", "P010_10LE"])
@pytest.mark.parametrize("colorimetry", ["bt601", "bt709"])
def test_other_formats(folder: Path, real_bundle: Bundle, name: str, colorimetry: str):
    """As the library makes them, whose own tests say what that is."""
    kind = name.removesuffix("_10LE").replace("I420", "I010" if "10LE" in name else "I420")
    height, width = 22, 40  # so even that rows need no padding
    caps = f"video/x-raw,format={name},width={width},height={height}"
    if name[:3] in ("I42", "NV1", "NV2", "P01"):
        caps += f",colorimetry={colorimetry},chroma-site=mpeg2"
    library = real_bundle.path / "model.so"
    branches = f"t. ! queue ! filesink location={folder / 'in'} t. ! queue"
    end = f"clipfreeupscale library={library} ! filesink location={folder / 'out'}"
    done = launch(folder, f"videotestsrc num-buffers=2 pattern=smpte ! {caps} ! tee name=t {branches} ! {end}")
    assert done.returncode == 0, done.stderr
    small, large = (np.fromfile(folder / place, np.uint8).reshape(2, -1) for place in ("in", "out"))
    with opened(library) as network:
        matrix = 2 if colorimetry == "bt709" else 1
        for one, other in zip(small, large, strict=True):
            source = laid_out(one, kind, height, width, matrix)
            made = np.zeros_like(other)
            network.call(source, laid_out(made, kind, 2 * height, 2 * width, matrix))
            assert np.array_equal(made, other)


FORMATS = {"GRAY8": 1, "RGBA": 5, "BGRA": 6, "NV12": 7, "NV21": 8, "I420": 9, "P010": 10, "I010": 11}


def laid_out(data: np.ndarray, kind: str, height: int, width: int, matrix: int) -> Picture:
    """Planes one after the other, chroma's with half the sides."""
    made = Picture(size=ctypes.sizeof(Picture), format=FORMATS[kind], height=height, width=width)
    deep = 2 if kind in ("P010", "I010") else 1
    wide = width * deep * (4 if kind in ("RGBA", "BGRA") else 1)
    strides = {"I": [wide, wide // 2, wide // 2], "N": [wide, wide], "P": [wide, wide]}.get(kind[0], [wide])
    at = data.ctypes.data
    for plane, stride in enumerate(strides):
        made.planes[plane], made.strides[plane] = at, stride
        at += stride * (height if plane == 0 else height // 2)
    assert at - data.ctypes.data == data.size
    if kind[0] in "INP":
        made.matrix, made.range, made.site = matrix, 1, 1
    return made
