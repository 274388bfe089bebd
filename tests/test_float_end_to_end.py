"""A float network through the command line: deployed once, used by every test."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.answers import answer
from tests.conftest import photograph
from toolchain.bundle import FLOAT, GOLDEN, HEADER, LIBRARY, QDQ, REPORT, open_bundle
from toolchain.cli import main
from toolchain.frontend import normalize
from toolchain.images import read_photo
from toolchain.quantize import Settings
from toolchain.support.errors import CalibrationError, ModelError, TargetError, TuningError
from toolchain.workflows.deploy import Request, deploy
from toolchain.workflows.evaluate import float_upscale

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Path:
    out = tmp_path_factory.mktemp("float")
    assert main(["deploy", str(model_file), "--precision", "float32", "--no-report", "-o", str(out)]) == 0
    return out / "tiny_float32.clipfree"


def test_the_bundle_holds_the_float_model(bundle: Path):
    manifest = open_bundle(bundle).manifest
    assert set(manifest.files) == {LIBRARY, HEADER, GOLDEN, FLOAT, REPORT}
    assert (manifest.precision, manifest.coverage.integer_convolutions, manifest.tensors) == ("float32", 0, ())
    assert manifest.coverage.convolutions == len(manifest.kernels) > 5
    assert manifest.line_buffers > 0


def test_what_commands_say(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(photograph(60, 50, 1)).save(tmp_path / "photo.png")
    found = {}
    for words in (
        ["inspect", str(bundle)],
        ["bench", str(bundle), "--size", "20x30", "--repeats", "2"],
        ["verify", str(bundle), "--photo", str(tmp_path / "photo.png")],
        ["run", str(bundle), str(tmp_path / "photo.png"), "-o", str(tmp_path / "big.png")],
    ):
        assert main(words) == 0
        said = capsys.readouterr()
        found[words[0]] = said.out + said.err
    assert "FP32 bundle of 'tiny_float32'" in found["inspect"]
    assert "float32 kernels: 7/7 convolutions\n" in found["inspect"]
    assert ": FP32, 30 x 20 to 60 x 40" in found["bench"]
    assert "the float model in onnxruntime" in found["verify"] or "equal" in found["verify"]
    assert "FP32" in found["run"]


def test_results_are_the_float_models(
    bundle: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert answer(capsys, "verify", str(bundle), "--seed", "3")["tolerance"] == 1
    sr = normalize(onnx.load(model_file))
    pixels = photograph(61, 83, 5)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    for tile in ("off", "32"):
        path = tmp_path / f"{tile}.png"
        assert main(["run", str(bundle), str(tmp_path / "photo.png"), "-o", str(path), "--tile", tile]) == 0
    whole = read_photo(tmp_path / "off.png").pixels
    assert np.array_equal(whole, read_photo(tmp_path / "32.png").pixels)
    assert np.abs(whole.astype(int) - float_upscale(sr.model, sr.value_range)(pixels)).max() <= 1


def test_evaluate_finds_no_loss(bundle: Path, model_file: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]):
    table = answer(capsys, "evaluate", str(bundle), "--hr", str(photo_folder), "--compare", str(model_file))
    assert table["mean"]["against_compared"]["psnr_rgb"] is None or table["mean"]["against_compared"]["psnr_rgb"] > 70
    assert main(["evaluate", str(bundle), "--hr", str(photo_folder)]) == 0
    assert "FP32" in capsys.readouterr().out


def test_deployed_twice_gives_the_same_files(bundle: Path, model_file: Path, tmp_path: Path):
    again = deploy(Request(model_file, tmp_path, precision="float32")).path
    for path in bundle.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_photographs_are_verified_on(model_file: Path, photo_folder: Path, tmp_path: Path):
    done = deploy(Request(model_file, tmp_path / "x.clipfree", photo_folder, precision="float32"))
    assert {"photograph", "noise"} <= {case.name for case in done.verified}
    assert done.report["calibration"]["photographs"] == ["photo0.png", "photo1.png", "photo2.png"]


def test_a_wrong_library_is_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from toolchain.runtime.native import NativeRunner
    from toolchain.runtime.runner import Runner

    right = {kind: kind.upscale for kind in (NativeRunner, Runner)}

    def wrong(self: NativeRunner | Runner, pixels: np.ndarray) -> np.ndarray:
        found = right[type(self)](self, pixels).copy()
        found[-1, -1, -1] ^= 2
        return found

    monkeypatch.setattr(NativeRunner, "upscale", wrong)
    assert main(["verify", str(bundle)]) == 7
    assert "the library makes one picture for programs in C, and another for TVM" in capsys.readouterr().err
    monkeypatch.setattr(Runner, "upscale", wrong)
    assert main(["verify", str(bundle)]) == 7
    assert "library and float model in onnxruntime differ in 1 of" in capsys.readouterr().err


def test_mistakes_are_answered(stand_in_bundle: Path, model_file: Path, tmp_path: Path, capsys):
    with pytest.raises(ModelError, match="is quantized already; give the float model"):
        deploy(Request(stand_in_bundle / QDQ, tmp_path, precision="float32"))
    with pytest.raises(TuningError, match="float kernels are not tuned"):
        deploy(Request(model_file, tmp_path, precision="float32", logs=(tmp_path,)))
    with pytest.raises(CalibrationError, match="a float network has no codes"):
        deploy(Request(model_file, tmp_path, precision="float32", settings=Settings()))
    with pytest.raises(TargetError, match="x86-avx2 does not compute with float16"):
        deploy(Request(model_file, tmp_path, target="x86-avx2", precision="float16"))
    assert main(["deploy", str(model_file), "--precision", "float8", "-o", str(tmp_path)]) == 2
    assert "--precision float8 is not known; give one of int8, float32, float16" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
