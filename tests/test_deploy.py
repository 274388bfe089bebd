"""The whole line, with the integer reference in place of the compiler: what comes out, and what happens on errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests import sr_models
from tests.conftest import photograph
from tests.standin import ReferenceRunner, StandIn, standing_in
from toolchain.bundle import GOLDEN, LIBRARY, QDQ, RECIPE, REPORT, open_bundle
from toolchain.quantize import IntegerReference
from toolchain.support.errors import CalibrationError, OutputError, TargetError, VerificationError
from toolchain.workflows.deploy import STEPS, Event, Request, bundle_path, deploy

pytestmark = pytest.mark.usefixtures("without_compiler")


def test_the_bundle_holds_everything(stand_in_bundle: Path):
    bundle = open_bundle(stand_in_bundle)
    assert set(bundle.manifest.files) == {LIBRARY, GOLDEN, QDQ, RECIPE, REPORT}
    manifest = bundle.manifest
    assert (manifest.name, manifest.scale, manifest.channels, manifest.value_range) == ("tiny", 2, 3, (0.0, 1.0))
    assert manifest.coverage.share == 1.0
    assert manifest.tensors[0].scale == pytest.approx(1 / 255)
    report = json.loads((stand_in_bundle / REPORT).read_text())
    assert report["model"]["clip"] == {"low": 0.0, "high": 1.0, "spelling": "Clip"}
    assert report["calibration"]["photographs"] == ["photo0.png", "photo1.png", "photo2.png"]
    assert len(report["verification"]) == 10
    picture, expected = bundle.golden()
    assert np.array_equal(IntegerReference(bundle.model()).run(picture), expected)


def test_twice_gives_the_same_bytes(stand_in_bundle: Path, model_file: Path, photo_folder: Path, tmp_path: Path):
    again = deploy(Request(model_file, tmp_path, photo_folder)).path
    for path in sorted(stand_in_bundle.iterdir(), reverse=True):  # the manifest, which knows all sums, late
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_events_tell_every_step_in_order(model_file: Path, photo_folder: Path, tmp_path: Path):
    events: list[Event] = []
    done = deploy(Request(model_file, tmp_path / "b.clipfree", photo_folder), progress=events.append)
    assert [event.step for event in events if event.seconds is not None] == list(STEPS)
    assert list(done.seconds) == list(STEPS)
    assert done.path == tmp_path / "b.clipfree"
    assert any("clip to 0..1 removed" in event.detail for event in events)


def test_a_wrong_library_is_not_delivered(model_file: Path, photo_folder: Path, tmp_path: Path):
    class Wrong(ReferenceRunner):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            right = self.upscale

            def upscale(pixels: np.ndarray) -> np.ndarray:
                result = right(pixels).copy()
                result[-1, -1, -1] ^= 1
                return result

            self.upscale = upscale

    sentence = r"noise: .* differ in 1 of .* first at row 65, column 93, channel 2"
    with standing_in(runner=Wrong), pytest.raises(VerificationError, match=sentence):
        deploy(Request(model_file, tmp_path, photo_folder))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_nothing_is_left_of_a_deployment_that_stops(
    model_file: Path, photo_folder: Path, tmp_path: Path, error: BaseException, expected: type[BaseException]
):
    class Stops(StandIn):
        def export(self, path: Path, *others: object) -> tuple[str, ...]:
            path.write_bytes(b"half a libr")
            raise error

    with standing_in(compiled=Stops), pytest.raises(expected):
        deploy(Request(model_file, tmp_path, photo_folder))
    assert list(tmp_path.iterdir()) == []


def test_no_photographs(model_file: Path, tmp_path: Path):
    with pytest.raises(CalibrationError, match="no photographs to calibrate with; name a folder"):
        deploy(Request(model_file, tmp_path))


def test_target_and_linker_are_looked_for_before_the_work(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    missing = tmp_path / "not_even_there.onnx"
    with pytest.raises(TargetError, match="no target called"):
        deploy(Request(missing, tmp_path, photo_folder, target="x86-avx9"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("toolchain.targets.linker.importlib.util.find_spec", lambda name: None)
    with pytest.raises(TargetError, match="there is no linker"):
        deploy(Request(missing, tmp_path, photo_folder))


def test_a_target_that_cannot_run_here_is_made_but_not_verified(
    model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("toolchain.targets.Target.missing_on", lambda self, cpu: ("avx512_vnni",))
    done = deploy(Request(model_file, tmp_path, photo_folder, target="x86-avx512vnni"))
    assert done.verified == ()
    assert any("not verified" in warning for warning in done.warnings)


def test_no_bundle_for_another_target_is_replaced(model_file: Path, photo_folder: Path, tmp_path: Path):
    there = deploy(Request(model_file, tmp_path, photo_folder, "x86-sse4")).path
    held = (there / GOLDEN).read_bytes()
    with pytest.raises(OutputError, match="is made for x86-sse4, and one for x86-avx2 would replace it") as caught:
        deploy(Request(model_file, tmp_path, photo_folder, "x86-avx2"))
    assert caught.value.hint == f"name another folder, such as -o {tmp_path}/x86-avx2/, or remove it"
    assert (there / GOLDEN).read_bytes() == held
    beside = deploy(Request(model_file, tmp_path / "x86-avx2", photo_folder, "x86-avx2")).path
    assert open_bundle(beside, for_this_machine=False).manifest.target.name == "x86-avx2"
    assert deploy(Request(model_file, tmp_path, photo_folder, "x86-sse4")).path == there
    (there / GOLDEN).write_bytes(b"damaged")
    deploy(Request(model_file, tmp_path, photo_folder, "x86-avx2"))  # nothing is lost
    assert open_bundle(there, for_this_machine=False).manifest.target.name == "x86-avx2"


def test_a_quantized_model_needs_no_photographs(stand_in_bundle: Path, tmp_path: Path):
    done = deploy(Request(stand_in_bundle / QDQ, tmp_path, name="again"))
    assert done.path == tmp_path / "again.clipfree"
    first, second = open_bundle(stand_in_bundle), open_bundle(done.path)
    pixels = photograph(20, 25, 3)
    results = [IntegerReference(bundle.model()).run(pixels) for bundle in (first, second)]
    assert np.array_equal(*results)


def test_luma_networks(photo_folder: Path, tmp_path: Path):
    onnx.save(sr_models.espcn(3, 1, width=4), tmp_path / "y.onnx")
    done = deploy(Request(tmp_path / "y.onnx", tmp_path, photo_folder))
    assert done.manifest.channels == 1
    assert open_bundle(done.path).golden()[0].shape[2] == 1


@pytest.mark.parametrize("name", ["", "../up", ".hidden"])
def test_names_that_are_no_files(name: str):
    with pytest.raises(OutputError, match="cannot be called"):
        bundle_path(Path("out"), name)
