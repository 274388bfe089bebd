"""What people have to measure with: pairs, other degradations, other models, a bound in CI."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from tests import sr_models
from tests.answers import document
from tests.conftest import photograph
from toolchain.bundle import QDQ
from toolchain.cli import main
from toolchain.images.degradation import find_degradation

pytestmark = pytest.mark.usefixtures("without_compiler")


@pytest.fixture
def low_folder(photo_folder: Path, tmp_path: Path) -> Path:
    """What MATLAB would make of the photographs, but of one."""
    way, folder = find_degradation("matlab-bicubic", 2), tmp_path / "low"
    folder.mkdir()
    for name in ("photo0", "photo1"):
        high = np.asarray(Image.open(photo_folder / f"{name}.png"))
        Image.fromarray(way.apply(high, 2)).save(folder / f"{name}_x2.png")
    return folder


def test_pairs_are_what_their_degradation_is(bundle: Path, photo_folder: Path, low_folder: Path, capsys: Any):
    words = ["evaluate", str(bundle), "--hr", str(photo_folder)]
    assert main([*words, "--lr", str(low_folder)]) == 0
    said = capsys.readouterr()
    assert f"left out: photo2.png has no picture of its name in {low_folder}" in said.err
    assert f"low-resolution pictures are those of {low_folder}; border of 2 pixels" in said.out
    assert main([*words, "--lr", str(low_folder), "--json"]) == 0
    pairs = document(capsys)
    assert main([*words, "--degradation", "matlab-bicubic", "--json"]) == 0
    made = document(capsys)
    assert (pairs["degradation"], made["degradation"]) == ("pairs", "matlab-bicubic")
    assert [row["bundle"] for row in pairs["rows"]] == [row["bundle"] for row in made["rows"][:2]]
    assert main([*words, "--json"]) == 0
    assert document(capsys)["rows"][0]["bundle"] != made["rows"][0]["bundle"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--lr LOW --degradation area", "with --lr nothing is degraded; leave --lr or --degradation away"),
        ("--lr absent", "there is no folder absent; --lr names a folder of pictures"),
        (
            "--degradation jpeg:30",
            "--degradation jpeg:30 does not fit: the network enlarges 2 times; there are",
        ),
        ("--degradation nearest", "--degradation nearest is not known"),
        ("--max-drop 0.1", "--max-drop is of the float model; name it with --compare, or leave --max-drop away"),
        ("--range 0..1 --compare BUNDLE", "a bundle's range and inputs are known; leave --range and --input away"),
        ("--compare zoo:xlsr_x3", "xlsr_x3.onnx is another kind of network: x3, 3 channels, not x2, 3"),
    ],
)
def test_what_does_not_go_together(
    words: str, sentence: str, bundle: Path, photo_folder: Path, low_folder: Path, capsys: Any
):
    given = [{"LOW": str(low_folder), "BUNDLE": str(bundle)}.get(word, word) for word in words.split()]
    assert main(["evaluate", str(bundle), "--hr", str(photo_folder), *given]) == 2
    assert sentence in capsys.readouterr().err


def test_a_bound_ends_with_a_code_of_its_own(bundle: Path, model_file: Path, photo_folder: Path, capsys: Any):
    words = ["evaluate", str(bundle), "--hr", str(photo_folder), "--compare", str(model_file)]
    assert main([*words, "--max-drop", "3", "--json"]) == 0
    gate = document(capsys)["gate"]
    assert (gate["allowed"], gate["kept"]) == (3.0, True)
    found = gate["lost"]
    assert main([*words, "--max-drop", "3"]) == 0
    assert f"INT8 loses {found:.3f} dB of PSNR Y in the mean, 3 dB are allowed" in capsys.readouterr().err
    assert main([*words, "--json"]) == 0
    assert document(capsys)["gate"] is None


def test_a_loss_is_not_allowed(bundle: Path, model_file: Path, photo_folder: Path, capsys: Any, tmp_path: Path):
    """On pictures that the float network itself has made, to which it loses nothing."""
    from toolchain.frontend import load_model, normalize
    from toolchain.workflows.evaluate import float_upscale

    sr = normalize(load_model(model_file))
    low, high = tmp_path / "lows", tmp_path / "highs"
    for folder in (low, high):
        folder.mkdir()
    picture = np.asarray(Image.open(photo_folder / "photo0.png"))
    Image.fromarray(picture).save(low / "a.png")
    Image.fromarray(float_upscale(sr.model, sr.value_range)(picture)).save(high / "a.png")
    words = ["evaluate", str(bundle), "--lr", str(low), "--hr", str(high), "--compare", str(model_file)]
    assert main([*words, "--max-drop", "0.1", "--json"]) == 12
    assert document(capsys)["gate"]["kept"] is False
    assert main([*words, "--max-drop", "0.1"]) == 12
    assert "INT8 loses inf dB of PSNR Y in the mean, 0.1 dB are allowed; deploy --max-loss" in capsys.readouterr().err


def test_any_model_and_any_bundle_compares(bundle: Path, photo_folder: Path, capsys: Any):
    words = ["evaluate", str(bundle), "--hr", str(photo_folder), "--json", "--compare"]
    assert main([*words, str(bundle / QDQ)]) == 0
    said = capsys.readouterr()
    assert "model.qdq.onnx runs in onnxruntime as it is\n" in said.err
    assert '"compared": "model.qdq"' in said.out
    assert main([*words, str(bundle)]) == 0
    table = document(capsys)
    assert table["compared"] == "tiny INT8"
    assert table["mean"]["compared"] == table["mean"]["bundle"]
    assert table["mean"]["against_compared"]["psnr_rgb"] is None  # infinite


def test_a_float_model_that_cannot_be_deployed_compares_too(bundle: Path, tmp_path: Path, capsys: Any):
    b = sr_models.Builder()
    noisy = b.node("Add", "input", b.node("RandomUniformLike", "input", high=1e-3))
    b.node("Resize", noisy, "", b.const([1, 1, 2, 2]), mode="cubic", out="output")
    onnx.save(b.model(3, 2), tmp_path / "noisy.onnx")
    Image.fromarray(photograph(64, 64, 1)).save(tmp_path / "photo.png")
    words = ["evaluate", str(bundle), "--hr", str(tmp_path / "photo.png"), "--compare", str(tmp_path / "noisy.onnx")]
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert "noisy.onnx runs in onnxruntime as it is: " in said.err
    assert "RandomUniformLike" in said.err
    table = json.loads(said.out)
    assert table["compared"] == "noisy"
    assert table["mean"]["compared"]["psnr_y"] == pytest.approx(table["mean"]["bicubic"]["psnr_y"], abs=1.5)


def test_a_perceptual_figure(bundle: Path, photo_folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch):
    words = ["evaluate", str(bundle), "--hr", str(photo_folder), "--perceptual"]
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    assert main(words) == 2
    assert "FLIP is not installed; pip install 'clipfree[perceptual]', or leave" in capsys.readouterr().err
    mean = SimpleNamespace(evaluate=lambda a, b, _range, applyMagma: (None, float(np.abs(a - b).mean()), {}))
    monkeypatch.setitem(sys.modules, "flip_evaluator", mean)
    assert main([*words, "--json"]) == 0
    row = document(capsys)["rows"][0]
    assert 0 < row["bundle"]["flip"] < 1
    assert main(words) == 0
    assert "SSIM Y, FLIP" in capsys.readouterr().out


def test_flip_itself():
    pytest.importorskip("flip_evaluator")
    from toolchain.images.flip import load_flip

    flip = load_flip()
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    near = np.clip(picture.astype(int) + rng.integers(-9, 10, picture.shape), 0, 255).astype(np.uint8)
    assert flip(picture, picture) == 0
    assert 0 < flip(near, picture) < flip(255 - picture, picture) <= 1
