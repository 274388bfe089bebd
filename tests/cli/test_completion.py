"""What a shell offers when Tab is pressed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.cli import main
from toolchain.cli.completion import complete_bundle, complete_model, complete_target, complete_zoo
from toolchain.targets import DEVICES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: a model, a bundle, and a program ``clipfree``."""
    (tmp_path / "out" / "a.clipfree").mkdir(parents=True)
    for name in ("model.onnx", "notes.txt", "board.toml"):
        (tmp_path / name).touch()
    program = tmp_path / "bin" / "clipfree"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clipfree "$@"\n')
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def words(offered: list[tuple[str, str]]) -> list[str]:
    return [word for word, _ in offered]


@pytest.mark.usefixtures("folder")
def test_what_is_offered() -> None:
    assert {"host", "rpi5", "jetson-orin", "cortex-a76", "mali-g78"} <= set(words(complete_target("")))
    assert words(complete_target("rpi5")) == ["rpi5"]
    assert words(complete_target("boa")) == ["board.toml"]
    assert words(complete_model("zoo:xlsr_x3")) == ["zoo:xlsr_x3", "zoo:xlsr_x3_unclipped"]
    assert words(complete_model("m")) == ["model.onnx"]
    assert {"zoo:xlsr_x3", "model.onnx", "out/"} <= set(words(complete_model("")))
    assert "notes.txt" not in words(complete_model(""))
    assert words(complete_bundle("")) == ["out/a.clipfree", "bin/", "out/"]
    assert words(complete_bundle("out/")) == ["out/a.clipfree"]
    assert words(complete_bundle("nowhere/")) == []
    assert words(complete_zoo("xlsr_x4")) == ["xlsr_x4"]
    assert words(complete_zoo("zoo:xlsr_x4")) == ["zoo:xlsr_x4"]


def test_nothing_that_takes_time_is_imported(folder: Path) -> None:
    heavy = ("tvm", "onnx", "onnxruntime", "numpy", "PIL", "rich.console")
    code = (
        "import sys\nfrom toolchain.cli import main\n"
        f"assert main([]) == 0\nprint([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    typed = {"COMP_WORDS": "clipfree deploy zoo: --target rpi", "COMP_CWORD": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **typed, "_CLIPFREE_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert sorted(done.stdout.split()) == sorted(device for device in DEVICES if device.startswith("rpi"))
    assert done.stderr.strip() == "[]"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("clipfree repr", ["represent"]),
        ("clipfree deploy zoo:xlsr_x4", ["xlsr_x4"]),  # bash has zoo: already
        ("clipfree deploy --target jetson-or", ["jetson-orin"]),
        ("clipfree deploy model.onnx --prec", ["--precision"]),
        ("clipfree run ", ["out/a.clipfree", "bin/", "out/"]),
        ("clipfree targets sh", ["show"]),
    ],
)
def test_in_bash(folder: Path, typed: str, offered: list[str]) -> None:
    script = "source <(clipfree completion bash); compopt() { :; }; COMP_LINE=$1; COMP_POINT=${#1}; "
    script += '_clipfree_completion clipfree; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", typed], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.split() == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_in_fish(folder: Path, tmp_path: Path) -> None:
    script = 'clipfree completion fish | source; complete -C "clipfree deploy zoo:xlsr_x4"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["zoo:xlsr_x4"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_in_zsh(folder: Path) -> None:
    # What its function evaluates, where the completion system is stood in for.
    script = 'compdef() { :; }; _arguments() { print -r -- "$@"; }; source <(clipfree completion zsh); '
    script += "words=(clipfree deploy --target jetson); CURRENT=4; _clipfree_completion"
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True, cwd=folder)
    assert '"jetson-orin":"the same as cortex-a78"' in done.stdout


def test_other_shells_are_answered_by_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of" in capsys.readouterr().err
