"""The command line as a user meets it, without the compiler: the integer reference stands in for the library."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.answers import document
from tests.conftest import photograph
from toolchain.bundle import LIBRARY
from toolchain.cli import main
from toolchain.cli.console import plain
from toolchain.images import read_photo

pytestmark = pytest.mark.usefixtures("without_compiler")


def opened(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and size of a picture file."""
    with Image.open(path) as image:
        return image.mode, image.size


def test_help_needs_nothing_heavy():
    heavy = "'tvm', 'onnxruntime', 'onnx', 'numpy', 'PIL'"
    code = f"import sys, toolchain.cli.app; print([m for m in ({heavy}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("clipfree 0.")


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]):
    for words in (
        ["deploy"],
        ["run"],
        ["evaluate"],
        ["bench"],
        ["verify"],
        ["inspect"],
        ["demo"],
        ["targets", "list"],
        ["tune"],
        ["logs", "show"],
        ["board", "build"],
        ["board", "list"],
        ["board", "check"],
    ):
        assert main([*words, "--help"]) == 0
        out = capsys.readouterr().out
        assert "Usage: clipfree" in out
        assert "--json" in out


def test_deploy_then_everything(model_file: Path, photo_folder: Path, tmp_path: Path, photo: Path, capsys):
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path), "--json"]) == 0
    captured = capsys.readouterr()
    table = json.loads(captured.out)
    bundle = table["bundle"]
    assert bundle == str(tmp_path / "tiny.clipfree")
    assert table["report"]["coverage"]["share"] == 1.0
    assert "[8/8] write:" in captured.err

    big = tmp_path / "big.png"
    assert main(["run", bundle, str(photo), "-o", str(big), "--json"]) == 0
    assert document(capsys)["pictures"][0]["output"] == str(big)
    assert opened(big) == ("RGB", (106, 74))

    assert main(["verify", bundle, "--photo", str(photo), "--json"]) == 0
    table = document(capsys)
    assert table["equal"] is True
    assert (table["proof"]["fits"], table["proof"]["exact"], table["proof"]["clips"]) == (True, True, True)

    words = [
        "--size",
        "8x9",
        "--repeats",
        "3",
        "--threads",
        "1",
        "--threads",
        "2",
        "--seconds",
        "0.1",
        "--streams",
        "2",
    ]
    assert main(["bench", bundle, *words, "--json"]) == 0
    table = document(capsys)
    assert [row["threads"] for row in table["rows"]] == [1, 2]
    row = table["rows"][0]
    assert row["minimum_s"] <= row["median_s"] <= row["p90_s"] <= row["p99_s"] == max(row["samples_s"])
    assert len(row["samples_s"]) == row["repeats"] == 3
    assert row["first_s"] > 0
    assert row["streams_frames_per_s"].keys() == {"2"}
    assert row["streams_frames_per_s"]["2"] > 0
    assert table["rows"][0]["gmac_per_s"] == pytest.approx(table["gmac"] / table["rows"][0]["median_s"])

    assert main(["evaluate", bundle, "--hr", str(photo_folder), "--compare", str(model_file), "--json"]) == 0
    table = document(capsys)
    assert [row["name"] for row in table["rows"]] == ["photo0.png", "photo1.png", "photo2.png"]
    assert table["shave"] == 2
    assert table["mean"]["against_compared"]["psnr_y"] > 30

    assert main(["inspect", bundle, "--json"]) == 0
    assert document(capsys)["manifest"]["scale"] == 2


def test_text_for_people(bundle: Path, model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "o")]) == 0
    out = capsys.readouterr().out
    assert "integer coverage: 7/7 convolutions, 100.0 % of MACs" in out
    assert "final clip 0..1 (Clip) became the output's range" in out
    assert "equal to the integer reference, byte for byte, in 10 pictures" in out
    assert main(["inspect", str(model_file)]) == 0
    out = capsys.readouterr().out
    assert "7/7 convolutions" in out
    assert "becomes the output's range" in out
    assert main(["inspect", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert "here: runs" in out
    assert "for any picture: no sum exceeds 2^" in out
    assert "exact in float32; no two products exceed " in out
    assert " of 2^15; saturation is the clip" in out
    assert main(["inspect", str(bundle / "model.qdq.onnx")]) == 0
    assert "for any picture: no sum exceeds 2^" in capsys.readouterr().out
    assert main(["bench", str(bundle), "--size", "8x8", "--repeats", "3"]) == 0
    assert "GMAC/s" in capsys.readouterr().out
    assert main(["evaluate", str(bundle), "--hr", str(photo_folder)]) == 0
    assert "border of 2 pixels left out" in capsys.readouterr().out
    assert main(["verify", str(bundle)]) == 0
    assert capsys.readouterr().out.startswith("equal:")


def test_tiles_give_the_same_file(bundle: Path, photo: Path, tmp_path: Path):
    outputs = []
    for tile in ("off", "auto", "7", "20"):
        outputs.append(tmp_path / f"{tile}.png")
        assert main(["run", str(bundle), str(photo), "-o", str(outputs[-1]), "--tile", tile]) == 0
    pixels = [read_photo(path).pixels for path in outputs]
    assert all(np.array_equal(pixels[0], other) for other in pixels[1:])


def test_a_large_picture_runs_in_tiles_that_fit(bundle: Path, tmp_path: Path, capsys):
    path = tmp_path / "large.png"
    Image.fromarray(photograph(600, 300, 1)).save(path)
    assert main(["run", str(bundle), str(path), "--memory", "45", "--json"]) == 0
    entry = document(capsys)["pictures"][0]
    assert entry["tile"]["rows"] < 600
    assert entry["memory"] <= 45e6
    assert main(["run", str(bundle), str(path), "-o", str(tmp_path / "whole.png"), "--tile", "off"]) == 0
    assert np.array_equal(read_photo(tmp_path / "large_x2.png").pixels, read_photo(tmp_path / "whole.png").pixels)


def test_several_photos_of_all_kinds_into_a_folder(bundle: Path, tmp_path: Path):
    pixels = photograph(12, 10, 2)
    Image.fromarray(pixels[:, :, 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([pixels, pixels[:, :, :1]])).save(tmp_path / "alpha.png")
    Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    photos = [str(tmp_path / name) for name in ("grey.png", "alpha.png", "deep.png")]
    assert main(["run", str(bundle), *photos, "-o", str(tmp_path / "big")]) == 0
    modes = {path.name: opened(path)[0] for path in (tmp_path / "big").iterdir()}
    assert modes == {"grey_x2.png": "L", "alpha_x2.png": "RGBA", "deep_x2.png": "I;16"}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["deploy", "absent.onnx", "--calib", "PHOTOS"], 2, "there is no file absent.onnx"),
        (["deploy", "zoo:xlsr_x33", "--calib", "PHOTOS"], 2, "no embedded model called 'xlsr_x33'"),
        (["deploy", "PHOTO", "--calib", "PHOTOS"], 3, "photo.png"),
        (["deploy", "MODEL"], 4, "no photographs to calibrate with"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--estimator", "magic"], 4, "there is no range estimator 'magic'"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--estimator", "percentile:1"], 4, "say percentile:P with P from 50"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--estimator", "mse", "--estimator", "average"], 2, "which one?"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--weights", "entropy"], 4, "there is no weight estimator 'entropy'"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--estimator", "nowhere=mse"], 4, "no quantized tensor 'nowhere'"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--estimator", "input=mse"], 4, "'input' holds pixels"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--bits", "nowhere=16"], 4, "no quantized tensor 'nowhere'"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--bits", "input=16"], 4, "'input' holds pixels: they have 8 bits"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--bits", "*=12"], 4, "'*' cannot have 12 bits"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--bits", "16"], 2, "--bits 16 is not understood"),
        (["deploy", "MODEL", "--precision", "float32", "--bits", "*=16"], 4, "leave out --estimator, --weights"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--budget", "-3"], 4, "a budget of -3 % is none"),
        (["deploy", "QDQ", "--bits", "*=16"], 4, "is quantized already: its tensors and weights keep their bits"),
        (["deploy", "QDQ", "--weight-bits", "4"], 4, "is quantized already: its tensors and weights keep their bits"),
        (["deploy", "MODEL", "--precision", "float32", "--weight-bits", "4"], 4, "--bits, --weight-bits, --codebook"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--weight-bits", "nowhere=4"], 4, "no convolution 'nowhere'"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--weight-bits", "1"], 4, "weights cannot have 1 bits; say 2 to 8"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--codebook"], 4, "say how many: --weight-bits 2 to 6"),
        (["deploy", "MODEL", "--calib", "absent"], 2, "there is no folder absent"),
        (["deploy", "MODEL", "--calib", "EMPTY"], 4, "has no usable picture"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--target", "x86-avx3"], 5, "did you mean x86-avx2?"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "-o", "PHOTO"], 8, "cannot write"),
        (["run", "absent", "PHOTO"], 6, "there is no bundle absent"),
        (["run", "PHOTOS", "PHOTO"], 6, "is not a bundle"),
        (["run", "BUNDLE", "absent.png"], 2, "there is no file absent.png"),
        (["run", "BUNDLE", "PHOTO", "-o", "big.onnx"], 2, "does not end as a picture does"),
        (["run", "BUNDLE", "PHOTO", "--tile", "many"], 2, "--tile many is not understood"),
        (["run", "BUNDLE", "PHOTO", "-o", "PHOTO"], 2, "would be written over itself"),
        (["run", "BUNDLE", "PHOTOS"], 2, "its results need one of their own; name it with -o"),
        (["run", "BUNDLE", "PHOTO", "--format", "ico"], 2, "there is no --format ico"),
        (["run", "BUNDLE", "PHOTO", "--memory", "1"], 2, "--memory allows 1; allow --memory"),
        (["bench", "BUNDLE", "--size", "big"], 2, "--size big is not understood"),
        (["evaluate", "BUNDLE", "--hr", "EMPTY"], 4, "has no usable picture"),
        (["targets", "show", "x86-avx22"], 5, "did you mean x86-avx2?"),
        (["deploy"], 2, "Missing argument"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(
    words: list[str],
    code: int,
    sentence: str,
    bundle: Path,
    photo: Path,
    photo_folder: Path,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {
        "PHOTO": photo,
        "PHOTOS": photo_folder,
        "MODEL": model_file,
        "BUNDLE": bundle,
        "EMPTY": tmp_path / "empty",
        "QDQ": bundle / "model.qdq.onnx",
    }
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert main([str(places.get(word, word)) for word in words]) == code
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_a_mistake_as_json(capsys: pytest.CaptureFixture[str]):
    assert main(["targets", "show", "x86-avx22", "--json"]) == 5
    error = document(capsys)["error"]
    assert error == {
        "message": "there is no target called 'x86-avx22'",
        "hint": "did you mean x86-avx2?",
        "exit_code": 5,
    }


def test_a_bad_photo_among_good_ones_is_named(model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    folder = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    (folder / "broken.jpg").write_bytes(b"no picture")
    assert main(["deploy", str(model_file), "--calib", str(folder), "-o", str(tmp_path)]) == 0
    assert "left out: broken.jpg is not a picture that can be read" in capsys.readouterr().err


def test_photographs_smaller_than_the_receptive_field(model_file: Path, tmp_path: Path, capsys):
    (tmp_path / "small").mkdir()
    Image.fromarray(photograph(4, 4, 0)).save(tmp_path / "small" / "a.png")
    assert main(["deploy", str(model_file), "--calib", str(tmp_path / "small"), "-o", str(tmp_path / "o")]) == 4
    assert "receptive field" in capsys.readouterr().err
    assert not list((tmp_path / "o").glob("*"))


@pytest.mark.parametrize("command", ["run", "verify", "bench", "evaluate"])
def test_a_damaged_bundle_is_refused_by_every_command(
    command: str, bundle: Path, photo: Path, photo_folder: Path, capsys
):
    (bundle / LIBRARY).write_bytes((bundle / LIBRARY).read_bytes()[:-5])
    more = {"run": [str(photo)], "evaluate": ["--hr", str(photo_folder)]}.get(command, [])
    assert main([command, str(bundle), *more]) == 6
    assert "model.so is truncated" in capsys.readouterr().err


def test_a_wrong_library_is_found_by_verify_and_bench(bundle: Path, capsys):
    from tests.standin import ReferenceRunner, standing_in

    class Wrong(ReferenceRunner):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            right = self.upscale
            self.upscale = lambda pixels: right(pixels) ^ np.uint8(1)

    for command in ("verify", "bench"):
        with standing_in(runner=Wrong):
            assert main([command, str(bundle)]) == 7
        assert "differ in" in capsys.readouterr().err


def test_no_linker(model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("toolchain.targets.linker.importlib.util.find_spec", lambda name: None)
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "o")]) == 5
    assert "pip install ziglang" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 9, "too little memory for it; use smaller tiles"),
        (OSError(28, "No space left on device", "/x/y"), 8, "cannot use /x/y: No space left on device"),
        (RuntimeError("assertion failed\nin file"), 70, "a mistake of its own (RuntimeError: assertion failed)"),
    ],
)
def test_whatever_happens_in_a_command(bundle, photo, monkeypatch, capsys, error, code, sentence):
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("toolchain.runtime.batch.upscale_photo", fail)
    words = ["run", str(bundle), str(photo), "-o", str(photo.with_name("big.png"))]
    assert main(words) == code
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err
    assert not photo.with_name("big.png").exists()
    assert main(["--debug", *words]) == code
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_while_a_picture_is_written(bundle: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toolchain.images.writing.png_parts", full)
    before = sorted(photo.parent.iterdir())
    assert main(["run", str(bundle), str(photo), "-o", str(photo.with_name("big.png"))]) == 8
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(photo.parent.iterdir()) == before


def test_embedded_model_without_photographs(monkeypatch: pytest.MonkeyPatch, model_file: Path, tmp_path: Path, capsys):
    monkeypatch.setattr("toolchain.zoo.embedded.model_folder", lambda: model_file.parent)
    monkeypatch.setattr("toolchain.zoo.demo_photos.importlib.util.find_spec", lambda name: None)
    assert main(["deploy", "zoo:tiny", "-o", str(tmp_path / "o")]) == 4
    assert "pip install scikit-image" in capsys.readouterr().err


def test_demo(monkeypatch: pytest.MonkeyPatch, model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    monkeypatch.setattr("toolchain.zoo.embedded.model_folder", lambda: model_file.parent)
    monkeypatch.setattr("toolchain.zoo.demo_photos.demo_photographs", lambda: tuple(sorted(photo_folder.iterdir())))
    assert main(["demo", "--model", "zoo:tiny", "-o", str(tmp_path / "demo"), "--json"]) == 0
    table = document(capsys)
    names = [Path(path).name for path in table["files"]]
    assert names == ["small.png", "bicubic.png", "clipfree.png", "before-after.png"]
    assert opened(tmp_path / "demo" / "clipfree.png") == ("RGB", (70, 60))
    beside = table["onnxruntime"]
    assert (beside["height"], beside["width"], beside["bytes"]) == (360, 640, 720 * 1280 * 3)
    assert beside["different"] < 1e-3 * beside["bytes"]
    assert beside["ratio"] > 0
    assert table["report"] == str(Path(table["bundle"]) / "report.html")
    assert Path(table["report"]).is_file()


def test_targets(capsys: pytest.CaptureFixture[str]):
    assert main(["targets", "list"]) == 0
    assert "x86-avx512vnni" in capsys.readouterr().out
    assert main(["targets", "show", "x86-sse4", "--json"]) == 0
    assert document(capsys)["target"]["cpu"] == "x86-64-v2"


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_targets_doctor(capsys: pytest.CaptureFixture[str]):
    assert main(["targets", "doctor", "x86-sse4", "--json"]) == 0
    assert document(capsys)["linker"]


def test_json_has_no_numbers_that_json_does_not_know():
    assert plain({"a": float("inf"), "b": (1.5, Path("x"))}) == {"a": None, "b": [1.5, "x"]}


def test_a_picture_too_large_for_the_memory(bundle: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("toolchain.runtime.batch.free_memory", lambda: 1000)
    assert main(["run", str(bundle), str(photo), "-o", str(photo.with_name("big.png"))]) == 2
    assert "GB are free; cut the picture into parts" in capsys.readouterr().err


def test_tiles_of_a_network_that_sees_the_whole_picture(bundle: Path, photo: Path, monkeypatch, capsys):
    monkeypatch.setattr("toolchain.runtime.tiles.UNBOUNDED_HALO", 1)
    words = ["run", str(bundle), str(photo), "-o", str(photo.with_name("big.png"))]
    assert main([*words, "--tile", "16"]) == 2
    assert "looks at the whole picture at once" in capsys.readouterr().err
    assert main(words) == 0
