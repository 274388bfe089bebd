"""Tuning as a user meets it: a small network, a few trials, then a deployment that uses what was found."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from tests.answers import answer
from tests.tune.specs import HEADER, best, task
from toolchain.bundle import LIBRARY, open_bundle
from toolchain.cli import main
from toolchain.schedules.database import find_log, log_path, open_log, read_log
from toolchain.schedules.records import LogHeader, Trial
from toolchain.support.cpu import this_cpu
from toolchain.targets import find_target

SSE4 = find_target("x86-sse4")
needs_sse4 = pytest.mark.skipif(
    bool(SSE4.missing_on(this_cpu())) or shutil.which("cc") is None, reason="needs SSE4 and a C compiler"
)
TRIALS = 6
"""Fewer than the small network has kernels: some stay untuned."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Path:
    """Logs of a short run."""
    folder = tmp_path_factory.mktemp("logs")
    words = [
        "tune",
        str(model_file),
        "--target",
        "x86-sse4",
        "--size",
        "24x40",
        "--threads",
        "1",
        "--trials",
        str(TRIALS),
        "--logs",
        str(folder),
        "--curve",
        str(folder / "curve.png"),
    ]
    assert main(words) == 0
    return folder


@needs_sse4
def test_a_run_leaves_a_log_and_a_curve(logs: Path):
    log = find_log(logs, SSE4)
    assert log is not None
    trials = [record for record in log.records if isinstance(record, Trial)]
    assert len(trials) == TRIALS
    assert {trial.status for trial in trials} == {"ok"}
    assert log.best()
    assert (logs / "curve.png").read_bytes().startswith(b"\x89PNG")


@needs_sse4
def test_resuming_tries_nothing_twice(logs: Path, model_file: Path, tmp_path: Path, capsys):
    copy = Path(shutil.copytree(logs, tmp_path / "logs"))
    path = log_path(copy, LogHeader.of(SSE4))
    path.write_bytes(path.read_bytes()[:-5])
    words = ("tune", model_file, "--target", "x86-sse4", "--size", "24x40", "--threads", 1, "--resume", "--logs", copy)
    table = answer(capsys, *words, "--trials", TRIALS - 1)
    assert table["reason"] == "the trials are used up"
    assert table["curve"] == []
    table = answer(capsys, *words, "--trials", TRIALS + 1)
    assert [point["trials"] for point in table["curve"]] == [TRIALS + 1]
    tried = [(record.task, record.tile) for record in read_log(path).records if isinstance(record, Trial)]
    assert len(tried) == len(set(tried)) == TRIALS + 1
    assert sum(row["trials"] for row in table["kernels"]) == TRIALS + 1


@needs_sse4
def test_a_deployment_uses_the_log(logs: Path, model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    words = ("deploy", model_file, "--calib", photo_folder, "--target", "x86-sse4", "--logs", logs)
    report = answer(capsys, *words, "-o", tmp_path / "a")["report"]
    bundle = open_bundle(tmp_path / "a" / "tiny.clipfree")
    tuned = bundle.manifest.tuned
    assert 0 < tuned.tuned_kernels < tuned.kernels
    assert 0 < report["tuning"]["share"] < 1
    tiles = report["tuning"]["tiles"].values()
    assert sum("tuned at 24x40" in tile for tile in tiles) == tuned.tuned_kernels
    assert sum("(default)" in tile for tile in tiles) == tuned.kernels - tuned.tuned_kernels
    assert len(report["verification"]) == 10
    answer(capsys, *words, "-o", tmp_path / "b", "--tuned-for", "360x640")
    assert (tmp_path / "b" / "tiny.clipfree" / LIBRARY).read_bytes() == (bundle.path / LIBRARY).read_bytes()
    assert main(["inspect", str(bundle.path)]) == 0
    assert f"tuned: {tuned}" in capsys.readouterr().out


@needs_sse4
def test_logs_are_shown_checked_and_brought_together(logs: Path, tmp_path: Path, capsys):
    shown = answer(capsys, "logs", "show", logs)["logs"]
    assert [log["target"] for log in shown] == ["x86-sse4"]
    (checked,) = answer(capsys, "logs", "check", logs)["logs"]
    assert (checked["trials"], checked["obstacle"], checked["damaged"]) == (TRIALS, "", False)
    (written,) = answer(capsys, "logs", "best", logs, "-o", tmp_path / "best")["logs"]
    assert all(not isinstance(record, Trial) for record in read_log(Path(written)).records)
    assert len(read_log(Path(written)).records) == checked["tasks"] == len(shown[0]["best"])
    (merged,) = answer(capsys, "logs", "merge", logs, tmp_path / "best", "-o", tmp_path / "merged")["logs"]
    assert sum(isinstance(record, Trial) for record in read_log(Path(merged)).records) == TRIALS
    assert main(["logs", "show", str(tmp_path / "merged")]) == 0
    assert "24x40, 1 thread" in capsys.readouterr().out
    assert main(["logs", "check", str(logs)]) == 0
    assert "of use here" in capsys.readouterr().out


def test_logs_that_are_of_no_use_here(tmp_path: Path, capsys):
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("{}\n")
    assert main(["logs", "check", str(damaged), "--json"]) == 10
    captured = capsys.readouterr()
    assert "1 of 1 tuning logs cannot be used" in captured.err
    assert json.loads(captured.out)["logs"][0]["damaged"] is True
    with open_log(tmp_path / "foreign", dataclasses.replace(HEADER, target="x86-sse9")) as writer:
        writer.append(best(task()))
    assert main(["logs", "check", str(tmp_path / "foreign")]) == 0
    assert "no target called 'x86-sse9'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["tune", "MODEL", "--trials", "0"], 2, "greater than or equal to 1"),
        (["tune", "absent.onnx"], 2, "there is no file absent.onnx"),
        (["tune", "zoo:xlsr_x33"], 2, "no embedded model called"),
        (["tune", "MODEL", "--size", "big"], 2, "--size big is not understood"),
        (["tune", "MODEL", "--threads", "1000"], 2, "1000 threads cannot be timed"),
        (["tune", "MODEL", "--target", "x86-avx3"], 5, "did you mean"),
        (["tune", "MODEL", "--logs", "FILE"], 8, "cannot write the tuning log"),
        (["tune", "FILE", "--logs", "EMPTY"], 3, "file"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--logs", "EMPTY"], 10, "`clipfree tune` makes one"),
        (["deploy", "MODEL", "--calib", "PHOTOS", "--tuned-for", "1"], 2, "--tuned-for 1 is not understood"),
        (["logs", "show", "absent"], 10, "there is no tuning log absent"),
        (["logs", "merge", "EMPTY", "-o", "OUT"], 10, "there is no tuning log in these places"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(
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
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    places = {
        "MODEL": model_file,
        "PHOTOS": photo_folder,
        "FILE": tmp_path / "file",
        "EMPTY": tmp_path / "empty",
        "OUT": tmp_path / "out",
    }
    assert main([str(places.get(word, word)) for word in words]) == code
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err


def test_a_target_that_cannot_run_here(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("toolchain.targets.Target.missing_on", lambda self, cpu: ("avx9",))
    assert main(["tune", str(model_file), "--target", "x86-avx2", "--logs", str(tmp_path)]) == 5
    assert "this machine cannot run code for x86-avx2: it lacks avx9" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
