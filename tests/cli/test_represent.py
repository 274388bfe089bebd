"""``clipfree represent`` as a user meets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests import sr_models
from tests.answers import document
from tests.conftest import photograph
from toolchain.cli import main


def test_the_proof_sheet(model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["represent", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "set")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "0 touched" in out
    assert "zero point 0: the pixels, so no clip is needed" in out
    assert main([*words, "--patch", "30", "--json"]) == 0
    found = document(capsys)
    assert found["proof"]["proved"] is True
    assert found["proof"]["reading"]["patch"] == 30


def test_photographs_that_cannot_be_used(
    model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    flat, two = tmp_path / "flat", tmp_path / "two"
    flat.mkdir()
    two.mkdir()
    for index, colour in enumerate([0, 90, 200]):
        Image.fromarray(np.full((40, 40, 3), colour, np.uint8)).save(flat / f"{index}.png")
    for index in range(2):
        shutil.copy(photo_folder / f"photo{index}.png", two)
    assert main(["represent", str(model_file), "--calib", str(flat), "-o", str(tmp_path / "set")]) == 4
    assert "every calibration image is of one flat colour; give photographs" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
    shutil.copy(flat / "0.png", two)
    assert main(["represent", str(model_file), "--calib", str(two), "-o", str(tmp_path / "set")]) == 0
    err = capsys.readouterr().err
    assert "only 2 calibration images: ranges may be too narrow" in err
    assert "1 of 3 images left out: one flat colour" in err


def test_of_many_photographs_some_are_used(
    model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["represent", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "set"), "--most", "2"]
    assert main([*words, "--frames", "none"]) == 0
    assert "left out: 1 of 3 pictures are not needed: 2 that are spread evenly" in capsys.readouterr().err
    assert len(list((tmp_path / "set" / "images").iterdir())) == 2


def test_a_value_range_that_cannot_be_told_is_asked_for(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model = sr_models.espcn(width=4)
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    for tensor in model.graph.initializer:  # the output is darker than the input
        if tensor.name in last.input:
            tensor.CopyFrom(onnx.numpy_helper.from_array(0.3 * onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, tmp_path / "odd.onnx")
    words = ["represent", str(tmp_path / "odd.onnx"), "--calib", str(photo_folder), "-o", str(tmp_path / "set")]
    assert main(words) == 3
    assert "cannot tell whether the model works on 0..1, 0..255 or -1..1" in capsys.readouterr().err
    assert main([*words, "--range", "0..1"]) == 0
    assert "not touched" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--overshoot", "tame"], 4, "choose one of contract, select"),
        (["--frames", "grey"], 4, "there are no frames 'grey'"),
        (["--save", "tiff"], 2, "'tiff' is no format of a set"),
        (["--calib", "absent"], 2, "there is no folder absent"),
        (["-o", "."], 8, "exists and holds other things"),
    ],
)
def test_mistakes(
    words: list[str],
    code: int,
    sentence: str,
    model_file: Path,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph(9, 9, 0)).save("mine.png")
    assert main(["represent", str(model_file), "--calib", str(photo_folder), *words]) == code
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


@pytest.mark.parametrize("command", ["represent", "fidelity"])
def test_only_an_embedded_model_brings_photographs(
    command: str,
    model_file: Path,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("toolchain.zoo.embedded.model_folder", lambda: model_file.parent)
    monkeypatch.setattr("toolchain.zoo.demo_photos.demo_photographs", lambda: tuple(sorted(photo_folder.iterdir())))
    assert main([command, str(model_file), "-o", str(tmp_path / "out")]) == 4
    assert "no photographs to calibrate with; name a folder" in capsys.readouterr().err
    assert main([command, "zoo:tiny", "-o", str(tmp_path / "out")]) == 0
