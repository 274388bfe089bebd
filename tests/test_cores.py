"""Which cores threads run on: as the user wishes, the big ones by themselves, and a sentence where there are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watching import cores_kept
from toolchain.support.cores import Core, big, choose, ranges, these_cores
from toolchain.support.errors import InputError

ALIKE = tuple(Core(number) for number in range(4))
# As a phone of 2021 tells them: four small cores, three large ones, one larger still.
PHONE = tuple(Core(number, speed) for number, speed in enumerate([250] * 4 + [870] * 3 + [1024]))


@pytest.mark.parametrize(
    ("cores", "wish", "threads", "chosen"),
    [
        (ALIKE, None, 1, (0, 1, 2, 3)),
        (PHONE, None, 1, (4, 5, 6, 7)),
        (PHONE, None, 4, (4, 5, 6, 7)),
        (PHONE, None, 5, tuple(range(8))),
        (PHONE, "big", 2, (4, 5, 6, 7)),
        (PHONE, "little", 1, (0, 1, 2, 3)),
        (PHONE, "4-7", 1, (4, 5, 6, 7)),
        (PHONE, "7,0,2-3", 3, (0, 2, 3, 7)),
        ((), None, 3, ()),
    ],
)
def test_cores_are_chosen(cores: tuple[Core, ...], wish: str | None, threads: int, chosen: tuple[int, ...]):
    assert choose(cores, wish, threads) == chosen


@pytest.mark.parametrize(
    ("cores", "wish", "threads", "sentence"),
    [
        (ALIKE, "4-7", 1, "the board has no core 4; it has 0-3"),
        (ALIKE, "little", 1, "the board has no little cores, as far as it tells; leave --cpus away"),
        (ALIKE, None, 5, "5 threads need as many cores, the board has 4"),
        (PHONE, "big", 5, "5 threads need as many cores, --cpus big names 4"),
        (ALIKE, "7-4", 1, "names no core; give the smaller number first"),
        *[
            (ALIKE, wish, 1, "is not understood; give big, little, or numbers such as 4-7")
            for wish in ("", "fast", "1-", "-1", "1,,2", "1-2-3", "0-999999999", "²")
        ],
        ((), "0", 1, "the system of the board lets no program choose cores"),
    ],
)
def test_cores_that_there_are_not(cores: tuple[Core, ...], wish: str | None, threads: int, sentence: str):
    with pytest.raises(InputError) as error:
        choose(cores, wish, threads, "the board")
    assert sentence in str(error.value)


@given(st.sets(st.integers(0, 200), min_size=1))
def test_what_is_said_of_cores_names_the_same_ones(numbers: set[int]):
    cores = tuple(Core(number) for number in sorted(numbers))
    said = ranges([core.number for core in cores])
    assert choose(cores, said.replace(" ", ""), 1) == tuple(sorted(numbers))


def test_speeds_are_read_where_linux_tells_them(tmp_path: Path):
    mine = sorted(os.sched_getaffinity(0))
    folder = tmp_path / f"cpu{mine[0]}"
    (folder / "cpufreq").mkdir(parents=True)
    (folder / "cpufreq" / "cpuinfo_max_freq").write_text("1800000\n")
    assert these_cores(tmp_path)[0] == Core(mine[0], 1800000)
    (folder / "cpu_capacity").write_text("446\n")
    assert these_cores(tmp_path)[0].speed == 446
    assert [core.number for core in these_cores(tmp_path)] == mine
    assert {core.speed for core in these_cores(tmp_path)[1:]} <= {0}
    assert big(these_cores(tmp_path))[0].number == mine[0]


@pytest.mark.skipif(len(these_cores()) < 2, reason="needs two cores")
def test_pinned_threads_stay_there():
    number = these_cores()[-1].number
    code = (
        "import os, threading; from toolchain.support.cores import pinned\n"
        "begin = threading.Event()\n"
        "old = threading.Thread(target=lambda: (begin.wait(), print(os.sched_getaffinity(0))))\n"
        "new = threading.Thread(target=lambda: print(os.sched_getaffinity(0)))\n"
        f"old.start()\nwith pinned([{number}]):\n begin.set(); old.join(); new.start(); new.join()\n"
        "print(os.sched_getaffinity(0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{{{number}}}"] * 2 + [str(os.sched_getaffinity(0))]


@pytest.mark.skipif(len(these_cores()) < 2, reason="needs two cores")
def test_a_test_that_ties_its_process_to_a_core_fails():
    before = os.sched_getaffinity(0)
    with pytest.raises(AssertionError, match="left its process on the cores"), cores_kept():
        os.sched_setaffinity(0, {min(before)})
    assert os.sched_getaffinity(0) == before
