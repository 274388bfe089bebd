"""Candidates on a CPU's OpenCL: right ones are timed, and the others do no harm."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.opencl.devices import GPU, device, pocl
from tests.tune.specs import conv
from toolchain.backends.opencl.choose import task_of
from toolchain.backends.opencl.job import Job
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.spec import Conv, DepthToSpace, Operand, View
from toolchain.schedules.task import Task
from toolchain.tune.opencl.candidate import write
from toolchain.tune.opencl.runner import DeviceRunner

SIZE = 20, 40
CUT = LaunchConfig(2, 4, (4, 2, 1), 2)


@pytest.fixture(scope="module")
def runner() -> Iterator[DeviceRunner]:
    device()
    made = DeviceRunner("opencl-cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
        yield made
    made.close()


def anchored() -> Conv:
    spec = conv(8, 12, pixels=DepthToSpace(2, 3, tuple(range(12))))
    anchor = Operand(View(1, 0, 1), 1, 3, 0, 0.4)
    return dataclasses.replace(spec, requantize=dataclasses.replace(spec.requantize, residual=anchor))


JOBS = {
    "picture": Job(conv(3, 8), 3),
    "groups and slopes": Job(conv(8, 16, groups=2, slopes=True)),
    "residual": Job(conv(4, 8, 1, residual=True, inner=(0.0, 9.0))),
    "anchor": Job(anchored(), None, (3,)),
}


def written(task: Task, path: Path, cut: LaunchConfig = CUT) -> Path:
    write(task, cut, GPU, path)
    return path


@pytest.mark.parametrize("name", JOBS)
def test_right_kernels_are_timed_and_wrong_ones_are_not(name: str, runner: DeviceRunner, tmp_path: Path):
    task = task_of(JOBS[name], *SIZE)
    cut = CUT if name != "anchor" else LaunchConfig(1, 6, (4, 2, 2))
    requantize = dataclasses.replace(task.conv.requantize, high=task.conv.requantize.high - 100)
    wrong = dataclasses.replace(task, conv=dataclasses.replace(task.conv, requantize=requantize))
    good, bad = runner.time(task, [written(task, tmp_path / "a", cut), written(wrong, tmp_path / "b", cut)], 3)
    assert (good.status, len(good.seconds), good.note) == ("ok", 3, "")
    assert good.best > 0
    assert (bad.status, bad.seconds) == ("wrong", ())
    assert "values differ from the reference" in bad.note


def spoilt(path: Path, before: str, after: str) -> Path:
    table = json.loads(path.read_text())
    assert before in table["source"]
    table["source"] = table["source"].replace(before, after, 1)
    path.write_text(json.dumps(table))
    return path


def test_what_hangs_or_cannot_be_built_is_marked_and_the_others_go_on(tmp_path: Path):
    pocl()
    task = task_of(JOBS["picture"], *SIZE)
    right, hangs, fails = (written(task, tmp_path / name) for name in "abc")
    spoilt(hangs, "int column = ", "volatile int on = 1; while (on); int column = ")
    spoilt(fails, "int column = ", "nonsense(); int column = ")
    runner = DeviceRunner("opencl-cpu", launch=5.0)
    try:
        good, hung, failed = runner.time(task, [right, hangs, fails], 3)
    finally:
        runner.close()
    assert (good.status, hung.status, failed.status) == ("ok", "hung", "failed")
    assert "a launch took more than 5 s" in hung.note
    assert "cannot build the kernel conv: " in failed.note
    assert "nonsense" in failed.note
