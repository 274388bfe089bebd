"""The log survives torn lines, kills, other processes and foreign content."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tune.specs import HEADER, best, task, trial
from toolchain.kernels.tile import Tile
from toolchain.schedules.database import Log, find_log, log_path, merge, need_log, open_log, read_log, write_log
from toolchain.schedules.records import Record, encode
from toolchain.support.errors import OutputError, TuningError
from toolchain.targets import find_target

SMALL, LARGE = task(20, 30), task(40, 60)
RECORDS = (
    trial(SMALL),
    best(SMALL),
    trial(LARGE, Tile(2, 4)),
    best(LARGE),
    trial(SMALL, Tile(2, 8)),
    best(SMALL, Tile(2, 8), 0.4),
)


def fill(folder: Path, records: tuple[Record, ...] = RECORDS) -> Path:
    with open_log(folder, HEADER) as writer:
        for record in records:
            writer.append(record)
    return log_path(folder, HEADER)


def test_what_is_appended_is_read(tmp_path: Path):
    path = fill(tmp_path)
    log = read_log(path)
    assert (log.path, log.header, log.records, log.torn) == (path, HEADER, RECORDS, 0)
    assert path == tmp_path / "x86-sse4" / "tvm-0.27.0.post1.jsonl"
    assert log.best() == (RECORDS[5], RECORDS[3])
    assert fill(tmp_path).read_bytes().count(b"header") == 1
    assert read_log(path).records == RECORDS * 2


@pytest.mark.parametrize("field", ["target", "tvm"])
@pytest.mark.parametrize("name", ["../../elsewhere", "/tmp/elsewhere", "..", "", "a\0b", "\ud800", "a\\b"])
def test_names_do_not_lead_out_of_the_folder(tmp_path: Path, field: str, name: str):
    path = tmp_path / "log.jsonl"
    path.write_bytes(encode(dataclasses.replace(HEADER, **{field: name})))
    with pytest.raises(TuningError, match="line 1 of the tuning log"):
        read_log(path)


@given(cut=st.integers(0, 10_000), junk=st.sampled_from([b"", b"\x00\x00", b"\xff{", b'{"kind":"best","task":']))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_cut_anywhere_it_goes_on(tmp_path: Path, cut: int, junk: bytes):
    path = log_path(tmp_path, HEADER)
    path.unlink(missing_ok=True)
    content = fill(tmp_path).read_bytes()
    kept = content[: cut % len(content)]
    whole = kept[: kept.rfind(b"\n") + 1]
    path.write_bytes(kept + junk)
    if whole:
        assert read_log(path).records == RECORDS[: whole.count(b"\n") - 1]
        assert read_log(path).torn == len(kept) - len(whole) + len(junk)
    with open_log(tmp_path, HEADER) as writer:
        writer.append(RECORDS[0])
    log = read_log(path)
    assert log.torn == 0
    assert log.records == (*RECORDS[: max(0, whole.count(b"\n") - 1)], RECORDS[0])


def test_the_writer_says_what_it_cut(tmp_path: Path):
    path = fill(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    with open_log(tmp_path, HEADER) as writer:
        assert writer.cut == len(encode(RECORDS[-1])) - 7
        assert writer.log.records == RECORDS[:-1]


KILLED = """
import sys
from pathlib import Path
from tests.tune.specs import HEADER, task, trial
from toolchain.schedules.database import open_log

with open_log(Path(sys.argv[1]), HEADER) as writer:
    for number in range(1, 10**9):
        writer.append(trial(task(height=number)))
        print(number, flush=True)
"""


def test_killed_in_the_middle_nothing_that_was_written_is_lost(tmp_path: Path):
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(20):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    said = 20 + len(child.stdout.read().split())
    child.communicate()
    with open_log(tmp_path, HEADER) as writer:
        heights = [record.task.height for record in writer.log.records]
    assert heights == list(range(1, len(heights) + 1))
    assert said <= len(heights) <= said + 1


def test_a_second_process_waits_for_the_first(tmp_path: Path):
    told: list[str] = []
    order: list[str] = []

    def second() -> None:
        with open_log(tmp_path, HEADER, told.append) as writer:
            order.append(f"second, after {len(writer.log.records)}")

    with open_log(tmp_path, HEADER, told.append) as writer:
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        writer.append(RECORDS[0])
        order.append("first")
    thread.join()
    assert order == ["first", "second, after 1"]
    assert told == [f"another process tunes into {tmp_path / 'x86-sse4'}: waiting for it to end"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("target", "x86-avx2", "target x86-avx2 instead of x86-sse4"),
        ("tvm", "0.26.0", "tvm 0.26.0 instead of 0.27.0.post1"),
        ("cpu", "haswell", "cpu haswell instead of x86-64-v2"),
        ("attributes", ("+avx",), r"attributes \+avx instead of none"),
    ],
)
def test_the_log_of_something_else_is_refused(tmp_path: Path, field: str, value: object, said: str):
    foreign = dataclasses.replace(HEADER, **{field: value})  # type: ignore[arg-type]
    path = log_path(tmp_path, HEADER)
    write_log(path, foreign, RECORDS)
    before = path.read_bytes()
    with pytest.raises(TuningError, match=f"is for something else: {said}"), open_log(tmp_path, HEADER):
        pass
    assert path.read_bytes() == before


GOOD = encode(HEADER)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its first line is missing"),
        (b"not even JSON\n", "line 1 .* cannot be used"),
        (b"[1]\n", "line 1 .*: it is not a table"),
        (GOOD.replace(b"clipfree-tuning", b"another"), "line 1 .* of another program"),
        (GOOD.replace(b'"format_version":1', b'"format_version":2'), "line 1 .* its format is 2, and 1 is read here"),
        (encode(RECORDS[0]), "line 1 .* a header must be the first line"),
        (GOOD + GOOD, "line 2 .* a header must be the first line"),
        (GOOD + b'{"kind":"rumour"}\n', "line 2 .* unknown kind 'rumour'"),
        (GOOD + b"\xff\n" + encode(RECORDS[0]), "line 2"),
        (GOOD + encode(RECORDS[0])[:-9] + b"\n", "line 2"),
        (GOOD + encode(RECORDS[0]).replace(b'"threads":1', b'"threads":"1"'), "line 2 .* Task.threads cannot be '1'"),
        (GOOD + encode(RECORDS[0]).replace(b'"seconds":0.003', b'"seconds":0'), "line 2 .* cannot have taken 0.0 s"),
        (GOOD + encode(RECORDS[1]).replace(b'"relative":0.5', b'"relative":-1'), "line 2 .* cannot have taken"),
        (GOOD + b"[" * 100_000 + b"\n", "line 2"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "log.jsonl").write_bytes(content)
    with pytest.raises(TuningError, match=said):
        read_log(tmp_path / "log.jsonl")


def test_merging_keeps_every_trial_once_and_the_better_tile():
    one = (trial(SMALL), best(SMALL, Tile(1, 4), 0.7), best(LARGE, Tile(1, 4), 0.5))
    two = (trial(SMALL), trial(SMALL, Tile(2, 4)), best(SMALL, Tile(2, 4), 0.6), best(LARGE, Tile(2, 4), 0.8))
    logs = [Log(Path("a"), HEADER, one), Log(Path("b"), HEADER, two)]
    wanted = (trial(SMALL), trial(SMALL, Tile(2, 4)), best(SMALL, Tile(2, 4), 0.6), best(LARGE, Tile(1, 4), 0.5))
    assert merge(logs) == wanted
    assert merge([Log(Path("c"), HEADER, wanted), *logs]) == wanted
    with pytest.raises(TuningError, match="for something else: tvm 1 instead of"):
        merge([logs[0], Log(Path("d"), dataclasses.replace(HEADER, tvm="1"), ())])
    with pytest.raises(TuningError, match="no tuning log"):
        merge([])


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"cannot write the tuning log .*; choose another folder with --logs"),
        open_log(tmp_path / "file", HEADER),
    ):
        pass
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    (tmp_path / "x86-sse4").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"), open_log(tmp_path, HEADER):
        pass


def test_a_log_that_is_not_there(tmp_path: Path):
    target = find_target("x86-sse4")
    assert find_log(tmp_path, target) is None
    with pytest.raises(TuningError, match=r"there is no tuning log .*; `clipfree tune` makes one"):
        need_log(tmp_path, target)
    (tmp_path / "x86-sse4").mkdir()
    (tmp_path / "x86-sse4" / "tvm-0.1.jsonl").write_text("")
    with pytest.raises(TuningError, match=r"only for tvm-0\.1"):
        need_log(tmp_path, target)
