"""Tuning for an OpenCL device as a user meets it: a small network, a few trials, then a bundle that uses the log."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.opencl.devices import GPU, device, pocl
from tests.tune.specs import conv
from tests.tune.test_tune import answer
from toolchain.backends.opencl.choose import by_log, task_of
from toolchain.backends.opencl.estimate import cuts
from toolchain.backends.opencl.job import Job
from toolchain.bundle import open_bundle
from toolchain.cli import main
from toolchain.kernels.launch import LaunchConfig
from toolchain.schedules.database import find_log
from toolchain.schedules.records import Best, Trial
from toolchain.schedules.select import Tuning
from toolchain.targets import find_target

TRIALS = 4


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Path:
    """Logs of a short run."""
    pocl()
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
        words = ["tune", str(model_file), "--target", "opencl-cpu", "--size", "24x40"]
        assert main([*words, "--trials", str(TRIALS), "--logs", str(folder)]) == 0
    return folder


def test_a_run_leaves_a_log_and_is_resumed(logs: Path, model_file: Path, capsys: pytest.CaptureFixture[str]):
    log = find_log(logs, find_target("opencl-cpu"))
    assert log is not None
    trials = [record for record in log.records if isinstance(record, Trial)]
    assert [trial.status for trial in trials] == ["ok"] * TRIALS
    assert all(isinstance(trial.tile, LaunchConfig) and trial.seconds > 0 for trial in trials)
    assert {trial.cpu for trial in trials} == {f"{device().name.strip()} ({device().platform.name.strip()})"}
    table = answer(
        capsys,
        "tune",
        model_file,
        "--target",
        "opencl-cpu",
        "--size",
        "24x40",
        "--resume",
        "--trials",
        TRIALS,
        "--logs",
        logs,
    )
    assert (table["reason"], table["curve"]) == ("the trials are used up", [])
    (shown,) = answer(capsys, "logs", "show", logs)["logs"]
    assert shown["target"] == "opencl-cpu"


def test_a_bundle_uses_the_log(
    logs: Path,
    model_file: Path,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    report = answer(
        capsys, "deploy", model_file, "--calib", photo_folder, "--target", "opencl-cpu", "--logs", logs, "-o", tmp_path
    )["report"]
    tuned = open_bundle(tmp_path / "tiny.clipfree", for_this_machine=False).manifest.tuned
    cut = list(report["tuning"]["tiles"].values())
    assert 0 < tuned.tuned_kernels < tuned.kernels
    assert sum("tuned at 24x40 on " in words for words in cut) == tuned.tuned_kernels
    assert sum("(by estimate)" in words for words in cut) == tuned.kernels - tuned.tuned_kernels
    assert len(report["verification"]) == 10


def test_a_record_is_taken_where_the_device_can_run_it():
    job = Job(conv(8, 16))
    cut = cuts(job, GPU, 24, 40)[5][0]
    best = Best(task_of(job, 24, 40), cut, "a phone", 0.001, 0.5, 9)
    choice = by_log(Tuning(((best,),)), GPU)(job)
    assert (choice.cut, choice.record) == (cut, best)
    assert "tuned at 24x40 on a phone" in str(choice)
    large = dataclasses.replace(best, tile=dataclasses.replace(cut, group=(64, 16, 4)))
    assert by_log(Tuning(((large,),)), GPU)(job).record is None
    assert by_log(Tuning(((best,),)), GPU)(Job(conv(8, 16), 3)).record is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--target", "mali-g78"], "OpenCL finds no GPU on this machine"),
        (["--target", "opencl-cpu", "--threads", "2"], "an OpenCL device has no --threads; leave it out"),
        (["--target", "opencl-cpu", "--rpc", "127.0.0.1:9"], "no board answers at 127.0.0.1:9"),
    ],
)
def test_mistakes_are_sentences(words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    device()
    assert main(["tune", "zoo:xlsr_x3", *words, "--logs", str(tmp_path)]) != 0
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
