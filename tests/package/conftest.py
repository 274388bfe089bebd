"""Bundles that become packages."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.conftest import photograph
from tests.sr_models import espcn
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main

COLOURS = espcn(2, 3, width=8)
GREY = espcn(3, 1, width=8)


def deployed(model: onnx.ModelProto, name: str, photos: Path, folder: Path, *words: str) -> Bundle:
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    onnx.save(model, folder / f"{name}.onnx")
    command = ["deploy", str(folder / f"{name}.onnx"), "--calib", str(photos), "-o", str(folder), "--budget", "0"]
    assert main([*command, *words]) == 0
    return open_bundle(folder / f"{name}.clipfree", for_this_machine=False)


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """A network for RGB, with a static library."""
    return deployed(COLOURS, "tiny_x2", photo_folder, tmp_path_factory.mktemp("colours"), "--static")


@pytest.fixture(scope="session")
def grey(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    return deployed(GREY, "grey_x3", photo_folder, tmp_path_factory.mktemp("grey"))


@pytest.fixture(scope="session")
def arm(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """The network for RGB, for a Raspberry Pi 5."""
    return deployed(COLOURS, "tiny_x2", photo_folder, tmp_path_factory.mktemp("arm"), "--target", "cortex-a76")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of odd size, as PNG and PPM."""
    picture = Image.fromarray(photograph(37, 53, 3))
    picture.save(tmp_path / "photo.ppm")
    picture.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def upscaled(bundle: Bundle, photo: Path) -> np.ndarray:
    """What `clipfree run` makes of a picture."""
    out = photo.with_name("run.png")
    assert main(["run", str(bundle.path), str(photo), "-o", str(out)]) == 0
    return np.asarray(Image.open(out))


def packed(bundle: Bundle, kind: str, out: Path, *words: str) -> Path:
    """What `clipfree package` makes of a bundle."""
    assert main(["package", str(bundle.path), "--as", kind, "-o", str(out), *words]) == 0
    return out
