"""The tamed set as other toolchains find it: files that agree with their proof, in every reading."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.representative import Reading
from toolchain.support.errors import CalibrationError, InputError, OutputError
from toolchain.workflows.report.contact_sheet import ABOVE, BELOW, thumbnail
from toolchain.workflows.represent import RepresentRequest, make_representative_set

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Path:
    out = tmp_path_factory.mktemp("represent") / "set"
    make_representative_set(RepresentRequest(model_file, photo_folder, out))
    return out


def test_every_file_of_the_set_agrees_with_the_proof(made: Path) -> None:
    proof = json.loads((made / "proof.json").read_text())
    assert proof["proved"]
    network = FloatModel(onnx.load(made / "network.onnx"))
    floats, codes = np.load(made / "float.npz"), np.load(made / "u8.npz")
    assert [*floats] == [*codes] == [image["name"] for image in proof["images"]]
    outputs = []
    for image in proof["images"]:
        pixels = np.asarray(Image.open(made / "images" / f"{image['name']}.png"))
        np.testing.assert_array_equal(pixels, codes[image["name"]])
        np.testing.assert_array_equal(to_float(pixels, (0, 1)), floats[image["name"]])
        assert pixels.shape == (image["height"], image["width"], 3)
        found = network.run(floats[image["name"]])
        assert [found.min(), found.max()] == image["after"]
        outputs += [found.min(), found.max()]
        assert image["photograph"].startswith("photo") or image["kind"] == "flat"
    assert [min(outputs), max(outputs)] == [proof["coverage"]["low"], proof["coverage"]["high"]]
    assert min(outputs) >= 0
    assert max(outputs) <= 1
    assert proof["before"][0] < 0 or proof["before"][1] > 1


def test_equal_photographs_give_equal_files(made: Path, tmp_path: Path, model_file: Path, photo_folder: Path) -> None:
    make_representative_set(RepresentRequest(model_file, photo_folder, tmp_path / "again"))
    first, again = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()} for d in (made, tmp_path / "again")
    )
    assert first == again


def test_the_snippet_of_the_documentation_runs_and_finds_the_pixel_range(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").symlink_to(made)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "representative-set.md").read_text(), re.DOTALL)
    exec(compile(code, "representative-set.md", "exec"), {})
    model = onnx.load(tmp_path / "int8.onnx")
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type == "QuantizeLinear"][-1]
    assert constants[last.input[2]] == 0
    assert round(float(constants[last.input[1]]) * 255 * 255) == 255
    assert constants["input_scale"] == np.float32(1 / 255)


@pytest.mark.parametrize(
    ("reading", "kinds"),
    [
        (Reading(), {"contracted", "flat"}),
        (Reading(overshoot="select", patch=12), {"natural", "flat"}),
        (Reading(frames=()), {"contracted"}),
        (Reading(patch=40), {"contracted", "flat"}),
    ],
)
def test_every_reading_keeps_outputs_in_range(
    reading: Reading, kinds: set[str], model_file: Path, photo_folder: Path, tmp_path: Path
) -> None:
    proof = make_representative_set(RepresentRequest(model_file, photo_folder, tmp_path / "set", reading=reading))
    assert proof.coverage.inside
    assert kinds <= {image.kind for image in proof.images}
    assert (reading.overshoot == "select") == bool(proof.left_out)
    assert {image.factor == 1 for image in proof.images if image.kind in ("natural", "flat")} <= {True}
    assert max(max(image.width, image.height) for image in proof.images) <= (reading.patch or 512)
    written = json.loads((tmp_path / "set" / "proof.json").read_text())
    assert written["reading"] == {**asdict(reading), "frames": list(reading.frames)}


def test_patches_cover_the_whole_image(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    proof = make_representative_set(
        RepresentRequest(
            model_file, photo_folder / "photo0.png", tmp_path / "set", reading=Reading(frames=(), patch=32)
        )
    )
    seen = np.zeros((60, 70), bool)
    for image in proof.images:
        top, left = image.place
        seen[top : top + image.height, left : left + image.width] = True
    assert seen.all()


def test_an_empty_selection_is_said(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    proof = make_representative_set(
        RepresentRequest(model_file, photo_folder, tmp_path / "set", reading=Reading(overshoot="select"))
    )
    assert {image.kind for image in proof.images} <= {"flat", "end"}
    assert any("all 3 natural images overshoot" in warning for warning in proof.warnings)
    with pytest.raises(CalibrationError, match="not one image could be brought into range"):
        make_representative_set(
            RepresentRequest(model_file, photo_folder, tmp_path / "none", reading=Reading("select", frames=()))
        )
    assert not (tmp_path / "none").exists()


def test_a_folder_with_other_things_is_not_replaced(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    request = RepresentRequest(model_file, photo_folder / "photo0.png", tmp_path / "set", formats=("png",))
    make_representative_set(request)
    make_representative_set(request)
    assert not (tmp_path / "set" / "float.npz").exists()
    (tmp_path / "set" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds other things \(thesis.tex\)"):
        make_representative_set(request)
    assert (tmp_path / "set" / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"overshoot": "tame"}, "contract, select"),
        ({"frames": ("grey",)}, "no frames 'grey'"),
        ({"patch": 0}, "at least 1"),
    ],
)
def test_readings_are_checked(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        Reading(**wrong)  # type: ignore[arg-type]


def test_formats_are_checked(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'tiff' is no format"):
        make_representative_set(RepresentRequest(model_file, photo_folder, tmp_path / "set", formats=("tiff",)))


def test_a_set_of_an_earlier_version_is_replaced(
    made: Path, tmp_path: Path, model_file: Path, photo_folder: Path
) -> None:
    shutil.copytree(made, tmp_path / "set")
    (tmp_path / "set" / "sheet.html").rename(tmp_path / "set" / "sheet.png")
    make_representative_set(RepresentRequest(model_file, photo_folder, tmp_path / "set"))
    assert not (tmp_path / "set" / "sheet.png").exists()


def test_one_value_beyond_the_range_shows_on_a_thumbnail() -> None:
    values = np.full((1, 1, 100, 130), 0.5, np.float32)
    values[0, 0, 57, 88], values[0, 0, 3, 4] = 1.01, -0.01
    small = thumbnail(values, (0.0, 1.0), side=50)
    assert max(small.pixels.shape[:2]) <= 50
    assert small.marks is not None
    for colour in (ABOVE, BELOW):
        assert int((small.marks == (*colour, 255)).all(axis=2).sum()) == 1
    assert int((small.marks[..., 3] > 0).sum()) == 2
    assert thumbnail(values.clip(0, 1), (0.0, 1.0), side=50).marks is None
