"""The fidelity report: measured once, kept as data, shown by a page made from the data alone."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from tests import sr_models
from tests.sr_models import lossy as lossy_network
from tests.standin import QUICK
from toolchain.cli import main
from toolchain.cli.console import plain
from toolchain.support.errors import QualityError
from toolchain.workflows.fidelity import Fidelity, FidelityRequest, measure_fidelity
from toolchain.workflows.report.fidelity_page import render


@pytest.fixture(scope="module")
def found(model_file: Path, photo_folder: Path) -> Fidelity:
    return measure_fidelity(FidelityRequest(model_file, photo_folder, photo_folder, settings=QUICK, crops=2, side=24))


@pytest.fixture(scope="module")
def document(found: Fidelity) -> Any:
    return json.loads(json.dumps(plain(found), allow_nan=False))


class Balanced(HTMLParser):
    """Raises where an element is closed that was not opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "link", "input"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attributes if name == "src"]

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int)


def test_what_is_measured(found: Fidelity) -> None:
    assert found.pictures == ("photo0.png", "photo2.png")
    assert found.psnr > 25
    assert found.quality is not None
    assert [row.name for row in found.quality.rows] == ["photo0.png", "photo1.png", "photo2.png"]
    assert {tensor.name for tensor in found.tensors} == {
        name for blame in found.blame.blames for name in blame.part.tensors
    }


def test_the_pictures_show_both_networks_and_their_difference(found: Fidelity) -> None:
    assert [shown.psnr for shown in found.shown] == sorted(shown.psnr for shown in found.shown)
    for shown in found.shown:
        fp32, int8, difference = (pixels(text) for text in (shown.fp32, shown.int8, shown.difference))
        np.testing.assert_array_equal(difference, np.clip(128 + shown.amplified * (int8 - fp32), 0, 255))
        assert fp32.shape[0] == 2 * pixels(shown.input).shape[0]


def test_the_page_needs_nothing_but_the_document(document: Any) -> None:
    page = render(document)
    reader = Balanced()
    reader.feed(page)
    assert reader.open == []
    assert all(link.startswith("data:image/png;base64,") for link in reader.links)
    assert len(reader.links) == 4 * len(document["shown"])
    for tensor in document["tensors"]:
        assert f"{tensor['name']} ({tensor['operator']})" in page
    for line in (
        document["command"],
        document["date"],
        "clipfree",
        "onnxruntime",
        "max_loss: 0.05",
        *document["spent"],
    ):
        assert escape(line) in page
    assert f"{document['quality']['mean']['bundle']['psnr_y']:.2f} dB" in page


def test_names_are_text_and_figures_may_be_missing(document: Any) -> None:
    odd = json.loads(json.dumps(document).replace(document["tensors"][0]["name"], "<u>"))
    odd["tensors"][1]["sqnr"] = odd["shown"][0]["psnr"] = None
    odd["quality"], odd["warnings"] = None, ["a < b"]
    odd["settings"]["bits"] = {"x": 16, "y": [0, 1, 2, 5]}
    odd["weights"] = "weights: 4 bits in 3 convolutions"
    page = render(odd)
    assert "<u>" not in page
    assert "&lt;u&gt;" in page
    assert "a &lt; b" in page
    assert "bits: x=16, y=16:0-2,5" in page
    assert odd["weights"] in page
    assert "equal" in page


def test_the_command(
    model_file: Path,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    words = ["fidelity", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "report"), "--crops", "1"]
    assert main([*words, "--estimator", "minmax"]) == 0
    out = capsys.readouterr().out
    assert "INT8 against FP32" in out
    assert "quantized part, error in grey levels squared" in out
    document = json.loads((tmp_path / "report" / "fidelity.json").read_text())
    assert document["settings"]["activations"] == "minmax"
    assert document["command"].startswith(f"clipfree fidelity {model_file} --calib {photo_folder} --estimator minmax")
    assert f"PSNR lost to rounding: {document['drop']:.3f} dB" in out
    assert (tmp_path / "report" / "index.html").read_text() == render(document)


def test_every_column_has_a_title_in_words_and_a_value_to_be_sorted_by(document: Any) -> None:
    page = render(document)
    tables = re.findall("<table>.*?</table>", page, re.DOTALL)
    assert len(tables) == 3
    for table in tables:
        titles = re.findall('<th scope="col".*?<button type="button">(.+?)</button></th>', table)
        head, *rows = re.findall("<tr>.*?</tr>", table, re.DOTALL)
        assert "<th" in head
        assert rows
        for row in rows:
            assert re.findall('data-title="(.+?)" data-value=".+?"', row) == titles
    assert "signal to noise, its own rounding alone (dB)" in page
    for title in ("number of the tensor", "signal to noise (dB)"):
        assert f">{title}</text>" in page


@pytest.mark.usefixtures("without_compiler")
def test_the_fix_is_a_command_that_does_what_it_says(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Typed again as it was printed, it makes what was promised."""
    onnx.save(lossy_network(), tmp_path / "lossy.onnx")
    words = [str(tmp_path / "lossy.onnx"), "--calib", str(photo_folder), "--weights", "mse"]
    assert main(["fidelity", *words, "--budget", "0", "-o", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    fixes = json.loads((tmp_path / "report" / "fidelity.json").read_text())["fixes"]
    page = (tmp_path / "report" / "index.html").read_text()
    bound, single = fixes[0], fixes[1]
    for fix in fixes:
        assert fix["command"] in out
        assert escape(fix["command"]) in page
    for fix, options in ((bound, ["--max-loss"]), (single, ["--bits", "--budget"])):
        typed = shlex.split(fix["command"])
        assert typed[: len(words) + 2] == ["clipfree", "deploy", *words]
        assert [word for word in typed if word.startswith("--")][2:] == options
        code = main([*typed[1:], "-o", str(tmp_path), "--json"])
        made = json.loads(capsys.readouterr().out)
        assert code in (0, QualityError.exit_code)
        assert made["report"]["calibration"]["loss"]["drop"] == pytest.approx(fix["after"], abs=2e-3)
        wide = {tensor["name"] for tensor in recipe(tmp_path) if tensor["dtype"] == "uint16"}
        assert set(fix["tensors"]) <= wide


@pytest.mark.usefixtures("without_compiler")
def test_weights_of_few_bits_are_given_more(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), tmp_path / "lossy.onnx")
    words = [str(tmp_path / "lossy.onnx"), "--calib", str(photo_folder), "--weight-bits", "2"]
    assert main(["fidelity", *words, "--crops", "2", "-o", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    document = json.loads((tmp_path / "report" / "fidelity.json").read_text())
    fixes = [fix for fix in document["fixes"] if fix["options"][0] == "--weight-bits"]
    best = fixes[0]
    assert best["after"] < document["drop"]
    assert best["command"] in out
    assert f"8 bits for weights of {best['tensors'][0]}" in (tmp_path / "report" / "index.html").read_text()
    assert main([*shlex.split(best["command"])[1:], "-o", str(tmp_path), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["report"]["calibration"]["loss"]["drop"] == pytest.approx(best["after"], abs=2e-3)
    bits = [tensor.get("weight_bits") or 8 for tensor in recipe(tmp_path) if tensor["role"] == "weight"]
    assert (bits.count(8), set(bits)) == (1, {2, 8})


def recipe(folder: Path) -> Any:
    return json.loads((folder / "lossy.clipfree" / "recipe.json").read_text())["tensors"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--hr", "absent"], 2, "there is no folder absent"),
        (["--calib", "absent"], 2, "there is no folder absent"),
        (["--estimator", "nowhere=mse"], 4, "no quantized tensor 'nowhere'"),
        (["--range", "0..255"], 3, "contradicts the model's final clip"),
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
    assert main(["fidelity", str(model_file), "--calib", str(photo_folder), *words]) == code
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
