"""One network for several targets: quantized once, a bundle for each, and what one lacks is not the others' loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.standin import QUICK
from toolchain.bundle import QDQ, open_bundle
from toolchain.cli import main
from toolchain.support.errors import ModelError, VerificationError
from toolchain.workflows.deploy import Deployment, Event, Failed, Request, deploy_batch
from toolchain.workflows.deploy import pipeline as line

pytestmark = pytest.mark.usefixtures("without_compiler")
ONE, OTHER = "x86-avx2", "x86-avx512vnni"


@pytest.fixture
def words(quick_deploy: list[str]) -> list[str]:
    return [*quick_deploy, "--name", "net"]


def test_a_bundle_for_each_target(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--target", ONE, "--target", OTHER]) == 0
    out, err = capsys.readouterr()
    places = [tmp_path / "o" / f"net-{target}.clipfree" for target in (ONE, OTHER)]
    assert sorted((tmp_path / "o").iterdir()) == places
    assert [open_bundle(place, for_this_machine=False).manifest.target.name for place in places] == [ONE, OTHER]
    assert places[0].joinpath(QDQ).read_bytes() == places[1].joinpath(QDQ).read_bytes()
    assert all(str(place) in out for place in places)
    assert err.count(" dB against float") == 1  # lines in between tell only how far it is
    assert [f"[8/8] {target}: write: " in err for target in (ONE, OTHER)] == [True, True]


def test_the_document_names_them_all(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--target", ONE, "--target", OTHER, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [bundle["target"] for bundle in found["bundles"]] == [ONE, OTHER]
    assert [Path(bundle["bundle"]).name for bundle in found["bundles"]] == [f"net-{t}.clipfree" for t in (ONE, OTHER)]
    assert found["failed"] == []
    assert all(set(bundle["seconds"]) >= {"load", "quantize", "write"} for bundle in found["bundles"])


def test_one_that_fails_does_not_stop_the_others(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = line._finish

    def finish(build, *rest):
        if build.target.name == ONE:
            raise VerificationError("it differs", hint="do not use it")
        return right(build, *rest)

    monkeypatch.setattr(line, "_finish", finish)
    assert main([*words, "--target", ONE, "--target", OTHER, "--json"]) == VerificationError.exit_code
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [bundle["target"] for bundle in found["bundles"]] == [OTHER]
    assert found["failed"] == [{"target": ONE, "message": "it differs", "hint": "do not use it", "exit_code": 7}]
    assert f"clipfree: no bundle for {ONE}: it differs; do not use it" in err
    assert [path.name for path in (tmp_path / "o").iterdir()] == [f"net-{OTHER}.clipfree"]


def test_what_can_be_seen_before_is_not_calibrated_for(
    model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self, model, target):
        if target.name == ONE:
            raise ModelError("no kernel for it")

    monkeypatch.setattr("toolchain.backends.cpu.CpuBackend.rehearse", refuse)
    one, other = (
        Request(model_file, tmp_path / name, photo_folder, target=name, settings=QUICK) for name in (ONE, OTHER)
    )
    failed, done = deploy_batch([one, other])
    assert isinstance(failed, Failed)
    assert str(failed.error) == "no kernel for it"
    assert isinstance(done, Deployment)
    events: list[Event] = []
    assert [type(fate) for fate in deploy_batch([one, one], progress=events.append)] == [Failed, Failed]
    assert {event.step for event in events} == {"load", "normalize"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--target", ONE, "--target", ONE], f"--target {ONE} and --target {ONE} are the same"),
        (["--target", ONE, "--target", OTHER, "-o", "x.clipfree"], "x.clipfree is one bundle, for 2 targets"),
        (["--target", ONE, "--target", OTHER, "--dump", "d"], "--dump shows the way to one target"),
        (["--target", ONE, "--target", "x86-avx3"], "there is no target called 'x86-avx3'"),
    ],
)
def test_what_cannot_be_meant(
    words: list[str], more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) in (2, 5)
    assert sentence in capsys.readouterr().err


def test_only_one_network_at_once(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    one = Request(model_file, tmp_path, photo_folder)
    with pytest.raises(ValueError, match="only one network"):
        deploy_batch([one, Request(model_file, tmp_path, photo_folder, name="other")])
