"""Progress by steps: which one runs, how far all is, and how long the rest will take."""

from __future__ import annotations

import io
import itertools
import re
import sys
from pathlib import Path

import pytest

from tests.standin import QUICK
from toolchain.cli.console import Console
from toolchain.cli.deploy import run_steps
from toolchain.cli.steps import Left, Lines, show_steps
from toolchain.quantize import Settings
from toolchain.support.progress import Stages
from toolchain.workflows.deploy import STEPS, Event, Request, deploy


class Clock:
    """Tells the time that it is set to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_left_takes_as_long_as_what_was_done() -> None:
    clock = Clock()
    left = Left(clock)
    assert str(left) == ""
    clock.now += 20
    left.done(0.01)
    assert str(left) == ""  # too little to tell
    left.done(0.25)
    assert str(left) == "about 1.0 min left"
    clock.now += 10
    assert str(left) == "about 50 s left"
    clock.now += 100
    assert str(left) == ""


def test_lines_name_the_step_that_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(Console(as_json=False), clock)
    for second in range(25):
        clock.now = 100.0 + second
        lines.running(f"quantize: {second}", second / 100)
    lines.finished("quantize: done", 0.9)
    assert capsys.readouterr().err.splitlines() == [
        "quantize: 10, 10 % of all done, about 90 s left".replace("90 s", "1.5 min"),
        "quantize: 20, 20 % of all done, about 80 s left".replace("80 s", "1.3 min"),
        "quantize: done",
    ]


def test_stages_are_shares_of_the_whole() -> None:
    told: list[tuple[str, float]] = []
    stages = Stages(lambda text, share: told.append((text, round(share, 3))), {"first": 1, "second": 3})
    tell = stages.begin("first")
    tell("", 0.5)
    inner = Stages(stages.begin("second"), {"a": 1, "b": 1})
    inner.begin("a")
    inner.begin("b")("more", 2.0)
    assert told == [("first", 0), ("first", 0.125), ("second", 0.25), ("a", 0.25), ("b", 0.625), ("more", 1.0)]


@pytest.mark.usefixtures("without_compiler")
def test_shares_grow_from_step_to_step(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    deploy(Request(model_file, tmp_path, photo_folder, settings=Settings(budget=0.0)), progress=events.append)
    shares = [event.share for event in events if not event.note or event.step == "quantize"]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    told = [event.detail for event in events if event.step == "quantize" and event.note]
    stages = [text for text, _ in itertools.groupby(told)]
    assert stages[:-1] == [
        "quantizing",
        "making representative photographs",
        "measuring channels",
        "measuring ranges",
        "rounding weights",
        "comparing with the float network",
    ]


@pytest.mark.usefixtures("without_compiler")
def test_the_bar_names_the_step_that_runs(
    model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    shown: list[str] = []
    console = Console(as_json=False)
    with show_steps(console) as steps:
        right = type(steps).running

        def running(self, text: str, share: float) -> None:
            right(self, text, share)
            shown.append(text)

        monkeypatch.setattr(type(steps), "running", running)
        steps.running("[4/8] quantize", 0.1)
    run_steps([Request(model_file, tmp_path, photo_folder, settings=QUICK)], console)
    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sys.stderr.getvalue())
    assert shown == ["[4/8] quantize"]
    assert "[4/8] quantize" in written
    assert f"[{len(STEPS)}/{len(STEPS)}] write" in written
