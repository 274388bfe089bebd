"""A worker may crash, hang or babble; whoever asked it learns of it, and the next question finds a new one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune.specs import TILE, task
from toolchain.kernels.tile import Tile
from toolchain.support.worker import Died, Worker
from toolchain.targets import find_target
from toolchain.tune.builder import LocalBuilder
from toolchain.tune.runner import LocalRunner

# Has the manners of the real worker, and does what the request says.
FAKE = """
import json, os, signal, sys, time
for line in sys.stdin:
    request = json.loads(line)
    signal.setitimer(signal.ITIMER_REAL, request["limit"])
    order = request.get("order") or (request.get("tile") or {}).get("channels") or request.get("libraries")
    if order in ("crash", 13) or (isinstance(order, list) and "crash.so" in order):
        print("the compiler fell over", file=sys.stderr, flush=True)
        os.abort()
    if order in ("hang", 14):
        signal.setitimer(signal.ITIMER_REAL, 0.2)  # the tests have no minute to wait for the builder's own limit
        time.sleep(60)
    if order == "exit":
        sys.exit(3)
    if order == "whisper":
        os.write(1, b'{"unfinished')
        sys.exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    if isinstance(order, list):
        print(json.dumps({"answers": [{"status": "ok", "note": "", "seconds": [0.5]} for _ in order]}), flush=True)
    elif order == 15:
        print(json.dumps({"status": "failed", "note": "no such loop"}), flush=True)
    else:
        print(json.dumps({"status": "ok", "echo": order, "process": os.getpid()}), flush=True)
"""
COMMAND = (sys.executable, "-c", FAKE)


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(COMMAND)
    yield made
    made.close()


def test_one_process_answers_many_requests(worker: Worker):
    answers = [worker.ask({"order": order}, 20) for order in ("a", "b")]
    assert [answer["echo"] for answer in answers] == ["a", "b"]
    assert answers[0]["process"] == answers[1]["process"] != os.getpid()


@pytest.mark.parametrize(
    ("order", "status", "note"),
    [
        ("crash", "crashed", "SIGABRT: the compiler fell over"),
        ("exit", "crashed", "exit code 3"),
        ("whisper", "crashed", "exit code 0"),
        ("hang", "hung", "no answer within 20 s"),
    ],
)
def test_a_death_is_told_and_overcome(worker: Worker, order: str, status: str, note: str):
    first = worker.ask({"order": "a"}, 20)["process"]
    with pytest.raises(Died) as death:
        worker.ask({"order": order}, 20)
    assert (death.value.status, death.value.note) == (status, note)
    assert worker.ask({"order": "b"}, 20)["process"] != first


def test_it_ends_itself_when_its_time_is_over():
    begin = time.monotonic()
    patient = Worker((sys.executable, "-c", FAKE.replace("signal.setitimer(signal.ITIMER_REAL, 0.2)", "pass")))
    with pytest.raises(Died, match=r"no answer within 0\.3 s"):
        patient.ask({"order": "hang"}, 0.3)
    assert time.monotonic() - begin < 20


def test_a_worker_that_died_between_two_requests(worker: Worker):
    os.kill(worker.ask({"order": "a"}, 20)["process"], 9)
    with pytest.raises(Died, match="SIGKILL"):
        worker.ask({"order": "b"}, 20)
    assert worker.ask({"order": "c"}, 20)["echo"] == "c"


def test_candidates_that_kill_the_builder_are_recorded(tmp_path: Path):
    builder = LocalBuilder(find_target("x86-sse4"), tmp_path, 2, COMMAND)
    try:
        tiles = [Tile(1, channels) for channels in (4, 13, 14, 15, 8)]
        built = builder.build(task(), tiles)
        assert [one.status for one in built] == ["ok", "crashed", "hung", "failed", "ok"]
        assert built[3].note == "no such loop"
        assert [one.library is None for one in built] == [False, True, True, True, False]
        assert builder.build(task(height=99), tiles) == built  # nothing is compiled twice
        assert builder.build(task(outputs=12), [TILE])[0].library not in [one.library for one in built]
    finally:
        builder.close()


def test_one_candidate_that_kills_the_runner_does_not_take_the_others_along():
    runner = LocalRunner("sse4", COMMAND)
    try:
        libraries = [Path(name) for name in ("a.so", "crash.so", "b.so")]
        timed = runner.time(task(), libraries, 3)
        assert [one.status for one in timed] == ["ok", "crashed", "ok"]
        assert timed[1].note == "SIGABRT: the compiler fell over"
        assert timed[0].seconds == (0.5,)
    finally:
        runner.close()
