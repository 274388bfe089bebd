"""Small photographs, models and boards that many tests share."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import settings
from PIL import Image

import toolchain
from benchmarks.runtimes import silence_openvino
from tests import boards, sr_models, watching
from tests.boards import Running
from tests.builds import kept_builds, kept_folder
from tests.standin import QUICK, standing_in
from toolchain.board.pack import cached_pack
from toolchain.board.tracker import entries
from toolchain.bundle import Bundle, open_bundle
from toolchain.support.cpu import configure_tvm_threads

# What fixtures of a whole session deploy by the command line is not kept either: no folder can be made there.
os.environ["CLIPFREE_CACHE"] = os.devnull
_NUMBERS = itertools.count()

# Before any test has TVM start its threads: by itself it ties the thread that calls it to one core.
configure_tvm_threads()
# Before any test imports it: it would fork beside what they compute.
silence_openvino()


def pytest_configure(config: pytest.Config) -> None:
    """Where PoCL is older than the processor, let Mesa's driver run what asks for a processor, if it is installed."""
    if hasattr(config, "workerinput") or importlib.util.find_spec("pyopencl") is None:
        return
    code = "from toolchain.runtime.opencl.device import find_device; find_device('opencl-cpu')"
    # In a process of its own: drivers look at the environment when they are loaded.
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        os.environ.setdefault("RUSTICL_ENABLE", "llvmpipe")


# Tests assert no times: an example may take as long as a busy machine needs.
# A check gives the same answer twice; --hypothesis-profile=explore looks for what it has not seen.
settings.register_profile("clipfree", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("clipfree")


AREAS = {"board": "board", "campaigns": "campaign", "opencl": "opencl", "tune": "tuning"}
"""Folders whose tests have a marker, and which."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the folders they lie in."""
    for item in items:
        for folder in item.path.relative_to(Path(__file__).parent).parent.parts:
            if folder in AREAS:
                item.add_marker(AREAS[folder])


def photograph(height: int, width: int, seed: int) -> np.ndarray:
    """Something like a photo, u8 (h, w, 3): soft blobs, a few hard edges, a little noise."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(soft).astype(np.int16)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return np.clip(pixels + rng.integers(-4, 5, pixels.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small photographs."""
    folder = tmp_path_factory.mktemp("photos")
    for index, (height, width) in enumerate([(60, 70), (64, 48), (51, 63)]):
        Image.fromarray(photograph(height, width, index)).save(folder / f"photo{index}.png")
    return folder


@pytest.fixture
def quick_deploy(model_file: Path, photo_folder: Path, tmp_path: Path) -> list[str]:
    """The words of a command that deploys a small network into the folder ``o``, and spends nothing."""
    return ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "o"), "--budget", "0"]


@pytest.fixture(scope="session", autouse=True)
def hears_ctrl_c() -> None:
    """Shells start background jobs with Ctrl-C ignored, and some tests send it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """What an earlier test, process or run has compiled is taken from disk, where nothing of it has changed."""
    with kept_builds():
        yield


@pytest.fixture(autouse=True)
def cores_are_kept() -> Iterator[None]:
    """Whatever a test starts inherits the cores of this process: it must have all of them after each."""
    with watching.cores_kept():
        yield


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test takes a quantized network that another has made, nor the user's."""
    monkeypatch.setenv("CLIPFREE_CACHE", str(tmp_path_factory.getbasetemp() / f"kept-{next(_NUMBERS)}"))


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small XLSR x2 with its clip."""
    path = tmp_path_factory.mktemp("models") / "tiny.onnx"
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), path)
    return path


@pytest.fixture
def without_compiler() -> Iterator[None]:
    """The integer reference in place of compiled libraries, for everything that is called in this process."""
    with standing_in():
        yield


@pytest.fixture(scope="session")
def stand_in_bundle(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Path:
    """A bundle of the small XLSR whose library only ``without_compiler`` can load. Copy it before changing it."""
    from toolchain.workflows.deploy import Request, deploy

    out = tmp_path_factory.mktemp("bundles")
    with standing_in():
        return deploy(Request(model_file, out, photo_folder)).path


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server and its libraries for this machine."""
    if not boards.have_compiler:
        pytest.skip("there is no C++ compiler here")
    package = Path(toolchain.__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(kept_folder("c++", package / "board", package / "targets")))
        return Path(shutil.copytree(cached_pack(), tmp_path_factory.mktemp("pack") / "board", symlinks=True))


@pytest.fixture(scope="session")
def real_bundle(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Bundle:
    """A small XLSR, compiled for this machine."""
    if not boards.have_compiler:
        pytest.skip("there is no C++ compiler here")
    from toolchain.workflows.deploy import Request, deploy

    out = tmp_path_factory.mktemp("bundle")
    return open_bundle(deploy(Request(model_file, out, photo_folder, settings=QUICK)).path)


@pytest.fixture
def board(pack: Path, tmp_path: Path) -> Iterator[Running]:
    with boards.board(pack, tmp_path / "board") as running:
        yield running


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    pytest.importorskip("tornado", reason="the tracker needs tornado")
    with boards.tracker(tmp_path) as running:
        yield running


@pytest.fixture
def registered(pack: Path, tmp_path: Path, tracker: Running) -> Iterator[Running]:
    """A board that the tracker knows as "pi"."""
    words = ["--tracker", str(tracker.address), "--key", "pi"]
    with boards.board(pack, tmp_path / "board", *words) as running:
        boards.until(lambda: entries(tracker.address))
        yield running
