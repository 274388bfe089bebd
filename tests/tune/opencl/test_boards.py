"""Tuning on a board's OpenCL device: through the host part of bundles, here on a server of this machine."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import boards
from tests.boards import Running, have_compiler
from tests.opencl.devices import device, environment, pocl
from tests.tune.opencl.test_candidates import CUT, JOBS, SIZE
from tests.tune.test_tune import answer
from toolchain.backends.opencl.choose import task_of
from toolchain.board.place import Place
from toolchain.cli import main
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.spec import Conv
from toolchain.runtime.opencl.device import device_name
from toolchain.schedules.database import find_log
from toolchain.schedules.records import Trial
from toolchain.schedules.task import Task
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import BoardError
from toolchain.targets import find_target
from toolchain.tune.opencl.candidate import Written, generated
from toolchain.tune.opencl.library import compile_candidate
from toolchain.tune.opencl.runner import DeviceBoardRunner

pytestmark = pytest.mark.skipif(not have_compiler, reason="there is no C compiler here")

CPU = find_target("opencl-cpu")
PICTURE = task_of(JOBS["picture"], *SIZE)


@pytest.fixture(scope="module")
def board(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with boards.board(pack, tmp_path_factory.mktemp("board") / "files", env=environment()) as running:
        yield running


@pytest.fixture
def runner(board: Running) -> Iterator[DeviceBoardRunner]:
    made = DeviceBoardRunner(CPU, "opencl-cpu", Place(board.address), wait=20)
    yield made
    made.close()


def kernel(task: Task, cut: LaunchConfig = CUT) -> Written:
    assert CPU.gpu is not None
    return generated(task, cut, CPU.gpu)


def compiled(task: Task, written: Written, path: Path) -> Path:
    compile_candidate(task, written, CPU, path)
    return path


def test_right_kernels_are_timed_and_wrong_ones_are_not(runner: DeviceBoardRunner, tmp_path: Path):
    for name, job in JOBS.items():
        task = task_of(job, *SIZE)
        cut = CUT if name != "anchor" else LaunchConfig(1, 6, (4, 2, 2))
        requantize = dataclasses.replace(task.conv.requantize, high=task.conv.requantize.high - 100)
        conv: Conv = dataclasses.replace(task.conv, requantize=requantize)
        wrong = kernel(dataclasses.replace(task, conv=conv), cut)
        libraries = [
            compiled(task, kernel(task, cut), tmp_path / f"{name}.so"),
            compiled(task, wrong, tmp_path / f"{name}, wrong.so"),
        ]
        good, bad = runner.time(task, libraries, 3)
        assert (good.status, len(good.seconds), good.note) == ("ok", 3, ""), name
        assert 0 < good.best < 1
        assert (bad.status, bad.seconds) == ("wrong", ())
        assert "values differ from the reference" in bad.note


def test_what_hangs_or_cannot_be_built_is_marked_and_the_others_go_on(board: Running, tmp_path: Path):
    pocl()
    right = kernel(PICTURE)

    def spoilt(after: str) -> Written:
        assert "int column = " in right.source
        return dataclasses.replace(right, source=right.source.replace("int column = ", after + " int column = ", 1))

    sources = [right, spoilt("volatile int on = 1; while (on);"), spoilt("unknown();")]
    libraries = [compiled(PICTURE, written, tmp_path / f"{index}.so") for index, written in enumerate(sources)]
    runner = DeviceBoardRunner(CPU, "opencl-cpu", Place(board.address), wait=20, launch=4)
    try:
        ok, hung, failed = runner.time(PICTURE, libraries, 1)
    finally:
        runner.close()
    assert [ok.status, hung.status, failed.status] == ["ok", "hung", "failed"]
    assert re.search("cannot build the kernel conv: .*unknown", failed.note)


def test_a_run_leaves_a_log_that_names_the_device(
    board: Running, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pocl()
    table = answer(
        capsys,
        "tune",
        model_file,
        "--target",
        "opencl-cpu",
        "--size",
        "24x40",
        "--trials",
        4,
        "--logs",
        tmp_path,
        "--rpc",
        board.address,
    )
    assert table["reason"] == "the trials are used up"
    log = find_log(tmp_path, CPU)
    assert log is not None
    trials = [record for record in log.records if isinstance(record, Trial)]
    assert [trial.status for trial in trials] == ["ok"] * 4
    assert {trial.cpu for trial in trials} == {device_name(device())}


def test_mistakes_are_sentences(board: Running, tracker: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def said(*words: object) -> str:
        assert main(["tune", "zoo:xlsr_x3", *map(str, words), "--logs", str(tmp_path / "logs")]) != 0
        assert not (tmp_path / "logs").exists()
        return capsys.readouterr().err

    there = "--rpc", board.address
    assert "an OpenCL device has no --threads" in said("--target", "opencl-cpu", *there, "--threads", 2)
    unknown = said("--target", "opencl-cpu", "--tracker", tracker.address, "--key", "nobody", "--wait", 1)
    assert "nobody" in unknown
    assert "Traceback" not in unknown


def test_devices_that_are_not_the_target_s(board: Running, runner: DeviceBoardRunner):
    assert CPU.gpu is not None
    assert runner.refusal(CPU) is None
    phone = dataclasses.replace(CPU, name="phone", gpu=dataclasses.replace(CPU.gpu, name="Mali-G610"))
    assert "is no Mali-G610, which phone is for" in str(runner.refusal(phone))
    assert f"cannot run code for mali-g610: it is {this_cpu().machine}" in str(runner.refusal(find_target("mali-g610")))
    runner.close()
    with pytest.raises(BoardError, match="OpenCL finds no GPU on this device"):
        DeviceBoardRunner(CPU, "opencl-gpu", Place(board.address), wait=20)


def test_a_board_without_opencl(pack: Path, tmp_path: Path):
    nothing = {**os.environ, "CLIPFREE_OPENCL": "libabsent.so"}
    with (
        boards.board(pack, tmp_path / "board", env=nothing) as running,
        pytest.raises(BoardError, match=r"the board at .*: the OpenCL driver libabsent\.so cannot be loaded"),
    ):
        DeviceBoardRunner(CPU, "opencl-cpu", Place(running.address), wait=20)


def test_a_board_that_is_lost(pack: Path, tmp_path: Path):
    with boards.board(pack, tmp_path / "board", env=environment()) as running:
        runner = DeviceBoardRunner(CPU, "opencl-cpu", Place(running.address), wait=1)
        running.kill()
        try:
            with pytest.raises(BoardError, match=r"the board at .* was lost: no board answers"):
                runner.time(PICTURE, [compiled(PICTURE, kernel(PICTURE), tmp_path / "candidate.so")], 1)
        finally:
            runner.close()
