"""What misbehaves in a trial is noticed, told with the command that shows it again, and its input is kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.misbehaving import CAMPAIGNS
from tests.campaigns.run import REPORT, run, worker
from toolchain.support.worker import Worker


@pytest.fixture(scope="module")
def process() -> Iterator[Worker]:
    with worker("tests.campaigns.misbehaving") as started:
        yield started


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crash", "the process crashed: SIGSEGV"),
        ("hang", "the process hung"),
        ("fills memory", "MemoryError"),
        ("traceback", "KeyError: 'mul_19'"),
        ("wrong bits", "wrong bits: they differ"),
        ("fault", "three words more"),
        ("blames itself", "the toolchain says that it is at fault"),
        ("foreign text", "another library's text"),
    ],
)
def test_a_failure_is_told_and_its_input_kept(name: str, says: str, process: Worker, tmp_path: Path):
    told: list[str] = []
    tally = run(CAMPAIGNS[name], range(4), process, tmp_path, tell=told.append)
    assert str(tally) == "4 tried, 2 passed, 2 failed"
    assert told == tally.failures
    assert told[0].startswith(f"{name} seed 1: {says}")
    assert told[0].endswith(f"; again: make fuzz ONLY={name} SEED=1 COUNT=1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}-1", f"{name}-3"]
    assert (tmp_path / f"{name}-3" / "input").read_text() == "3"
    assert told[1] in (tmp_path / f"{name}-3" / REPORT).read_text()


def test_a_crash_leaves_its_stack(process: Worker, tmp_path: Path):
    run(CAMPAIGNS["crash"], [1], process, tmp_path)
    assert "misbehaving.py" in (tmp_path / "crash-1" / REPORT).read_text()


def test_refusals_are_no_failures(process: Worker, tmp_path: Path):
    assert str(run(CAMPAIGNS["refusal"], range(4), process, tmp_path)) == "4 tried, 2 passed, 2 refused, 0 failed"
    assert list(tmp_path.iterdir()) == []


def test_time_ends_an_endless_campaign(process: Worker, tmp_path: Path):
    assert run(CAMPAIGNS["refusal"], iter(int, 1), process, tmp_path, until=0.0).counts.total() == 0


def test_the_command_counts_and_fails(tmp_path: Path):
    words = ["-m", "tests.campaigns", "--only", "logs", "--seed", "0", "--count", "3", "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "from seed 0"
    assert done.stdout.splitlines()[-1].startswith("logs: 3 tried, ")
    assert done.stdout.endswith(" 0 failed\n")
