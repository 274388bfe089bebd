"""Networks that do not enlarge (denoising, deblocking) through every command, compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.answers import answer
from tests.conftest import photograph
from tests.sr_models import denoiser
from toolchain.cli import main
from toolchain.images import read_photo

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
NETWORKS = {"clipped": {}, "plain": {"clipped": False}, "luma": {"channels": 1}}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("same_size") / f"{request.param}.onnx"
    onnx.save(denoiser(**NETWORKS[request.param]), path)
    return path


@pytest.fixture(scope="module")
def bundle(model: Path, photo_folder: Path) -> Path:
    assert main(["deploy", str(model), "--calib", str(photo_folder), "-o", str(model.parent)]) == 0
    return model.with_suffix(".clipfree")


def test_verify_and_inspect(model: Path, bundle: Path, capsys: pytest.CaptureFixture[str]):
    table = answer(capsys, "verify", bundle)
    assert table["equal"] is True
    assert table["proof"]["clips"] is True
    for path in (model, bundle):
        assert answer(capsys, "inspect", path)["model" if path == model else "manifest"]["scale"] == 1
        assert main(["inspect", str(path)]) == 0
        assert "to one of the same size, any h and w" in capsys.readouterr().out


def test_pictures_keep_their_size_whatever_the_tiles(bundle: Path, tmp_path: Path):
    Image.fromarray(photograph(61, 83, 4)).save(tmp_path / "photo.png")
    pictures = []
    for tile in ("off", "40", "17"):
        path = tmp_path / f"{tile}.png"
        assert main(["run", str(bundle), str(tmp_path / "photo.png"), "-o", str(path), "--tile", tile]) == 0
        pictures.append(read_photo(path).pixels)
    assert pictures[0].shape == (61, 83, 3)
    assert not np.array_equal(pictures[0], photograph(61, 83, 4))
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_what_is_mended_is_measured(model: Path, bundle: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]):
    words = ["evaluate", str(bundle), "--hr", str(photo_folder), "--compare", str(model)]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "nothing is degraded: --lr, --degradation noise:SIGMA or jpeg:QUALITY show what is repaired" in said.err
    assert "the input" in said.out
    assert "pictures are given as they are" in said.out
    table = answer(capsys, *words, "--degradation", "noise:25", "--max-drop", "0.5")
    assert (table["degradation"], table["shave"], table["scale"]) == ("noise:25", 1, 1)
    assert table["mean"]["bundle"]["psnr_y"] > table["mean"]["bicubic"]["psnr_y"] + 1
    assert main([*words, "--degradation", "bicubic"]) == 2
    assert "--degradation bicubic does not fit: the network enlarges nothing" in capsys.readouterr().err


def test_represent_and_fidelity(model: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    proof = answer(capsys, "represent", model, "--calib", photo_folder, "-o", tmp_path / "set")["proof"]
    assert proof is not None
    table = answer(capsys, "fidelity", model, "--calib", photo_folder, "--hr", photo_folder, "-o", tmp_path / "page")
    assert table["fidelity"]["scale"] == 1
    assert list((tmp_path / "page").glob("*.html"))
