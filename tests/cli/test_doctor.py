"""``clipfree doctor``: what there is, and the line that gets what is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.answers import document
from toolchain.cli import main
from toolchain.support.errors import TargetError
from toolchain.workflows.doctor import EXTRAS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NOT_FOR_USERS = {"dev", "docs"}


def test_every_extra_is_known() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(EXTRAS) == set(project["project"]["optional-dependencies"]) - NOT_FOR_USERS


def test_what_is_missing_comes_with_the_line_that_gets_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "clipfree").mkdir()
    (tmp_path / "clipfree" / "kept").write_bytes(bytes(3000))
    monkeypatch.setattr("toolchain.workflows.doctor.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("toolchain.workflows.doctor.list_devices", no_opencl)
    assert main(["doctor", "--no-self-test", "--json"]) == 0
    found = document(capsys)
    lines = {part["name"]: part["install"] for part in found["tools"] + found["emulators"] + found["extras"]}
    assert all(lines.values())
    assert lines["aarch64-linux-gnu"] == "pip install ziglang"
    assert lines["windows"] == "apt install wine64"
    assert lines["video"] == "pip install 'clipfree[video]'"
    assert found["opencl"][0]["install"] == "pip install 'clipfree[opencl]'"
    assert not any(
        target["deploys"] for target in found["targets"] if not target["name"].startswith(("mali", "adr", "opencl"))
    )
    assert found["cache_bytes"] == 3000
    assert found["self_test"] is None
    assert main(["doctor", "--no-self-test"]) == 0
    said = capsys.readouterr().out
    assert "get it: pip install 'clipfree[video]'" in said
    assert f"cache: {tmp_path / 'clipfree'}, 0.0 MB" in said


def no_opencl() -> None:
    raise TargetError("there is no OpenCL here", hint="`pip install 'clipfree[opencl]'` brings PoCL")


@pytest.mark.usefixtures("without_compiler")
def test_a_small_network_is_tried(
    monkeypatch: pytest.MonkeyPatch, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("toolchain.workflows.doctor.list_devices", lambda: (("A GPU", "a GPU", ""),))
    monkeypatch.setattr("toolchain.zoo.embedded.model_folder", lambda: model_file.parent)
    monkeypatch.setattr("toolchain.cli.doctor._TRIED", "tiny")
    assert main(["doctor", "--json"]) == 0
    found = document(capsys)
    assert found["self_test"]["passed"]
    assert found["self_test"]["text"].endswith("loaded, equal to the integer reference")
    assert next(target for target in found["targets"] if target["name"] == "mali-g78")["runs"]


def test_a_self_test_that_fails_says_why(
    monkeypatch: pytest.MonkeyPatch, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(request: object) -> None:
        raise TargetError("there is no linker", hint="install one with `pip install ziglang` (no root needed)")

    monkeypatch.setattr("toolchain.workflows.doctor.list_devices", lambda: ())
    monkeypatch.setattr("toolchain.workflows.deploy.deploy", fail)
    assert main(["doctor"]) == TargetError.exit_code
    said = capsys.readouterr().out
    assert "self-test: FAILED" in said
    assert said.splitlines()[-1].strip() == "get it: pip install ziglang"
