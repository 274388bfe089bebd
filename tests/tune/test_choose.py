"""Which tile a build takes, and what it says about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.tune.specs import HEADER, best, conv, kernel, task
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.tile import WINOGRAD, Tile, default_tile
from toolchain.schedules.coverage import coverage
from toolchain.schedules.database import log_path, open_log
from toolchain.schedules.records import LogHeader
from toolchain.schedules.select import Tuning, read_tuning
from toolchain.schedules.task import Task, normal
from toolchain.support.errors import TuningError
from toolchain.targets import find_target

DOT = dot_product("sse4")
A, B, C, D = Tile(1, 4), Tile(2, 8), Tile(1, 8), Tile(2, 4, "channels")


def chosen(tuning: Tuning, enlarged: int = 1) -> Tile:
    return tuning.choose(kernel(conv(zero_point=77), enlarged=enlarged), DOT.columns, DOT).tile


LOG = (best(task(180, 320), A), best(task(360, 640), B), best(task(360, 640, threads=4), C), best(task(720, 1280), D))


@pytest.mark.parametrize(
    ("height", "width", "threads", "tile"),
    [
        (180, 320, 8, A),
        (100, 100, 1, A),
        (360, 640, 1, B),
        (360, 640, 2, B),
        (360, 640, 3, C),
        (300, 700, 4, C),
        (640, 360, 1, B),
        (4000, 4000, 4, D),
    ],
)
def test_the_nearest_size_then_the_nearest_number_of_threads(height: int, width: int, threads: int, tile: Tile):
    assert chosen(Tuning((LOG,), height, width, threads)) == tile
    assert chosen(Tuning((LOG[::-1],), height, width, threads)) == tile


def test_a_kernel_on_an_enlarged_tensor_is_looked_up_at_its_own_size():
    assert chosen(Tuning((LOG,), 360, 640, 1), enlarged=4) == D


def test_the_first_log_that_knows_a_kernel_decides():
    mine, shipped = (best(task(10, 10), C),), (best(task(360, 640), B), best(task(360, 640, outputs=12), A))
    assert chosen(Tuning((mine, shipped))) == C
    assert chosen(Tuning((shipped, mine))) == B
    other = Tuning((mine, shipped)).choose(kernel(conv(outputs=12)), DOT.columns, DOT)
    assert other.tile == A


def test_without_a_log_or_with_a_tile_that_does_not_fit_the_default_is_taken():
    default = default_tile(conv(), DOT.columns, DOT)
    for tuning in (Tuning(), Tuning(((best(task(360, 640), Tile(3, 4)),),)), Tuning(((best(task(outputs=12)),),))):
        choice = tuning.choose(kernel(conv()), DOT.columns, DOT)
        assert (choice.tile, choice.record) == (default, None)
        assert str(choice).endswith("(default; sums too large for Winograd)")


def test_a_tile_of_another_algorithm_is_taken_where_it_is_admitted():
    winograd, admitted = Tile(1, 8, algorithm=WINOGRAD), dataclasses.replace(conv(), algorithms=(WINOGRAD,))
    default = Tuning().choose(kernel(admitted), DOT.columns, DOT)
    assert str(default) == "Winograd F(4x4,3x3), 2 vectors x 4 channels (default)"
    # What was found before the algorithm was there, or for large sums, says nothing of it.
    assert Tuning((LOG,)).choose(kernel(admitted), DOT.columns, DOT) == default
    found = Task(normal(admitted), 360, 640, 1)
    tuning = Tuning((LOG, (best(found, winograd),)))
    assert tuning.choose(kernel(admitted), DOT.columns, DOT).tile == winograd
    assert tuning.choose(kernel(conv()), DOT.columns, DOT).tile == chosen(Tuning((LOG,)))


def test_what_is_said():
    tuned, untuned = kernel(conv(), 300), kernel(conv(outputs=12), 50, enlarged=2)
    choices = [Tuning((LOG,)).choose(one, DOT.columns, DOT) for one in (tuned, untuned)]
    found = coverage((tuned, untuned), choices)
    assert str(found) == "1/2 kernels, 75 % of MACs"
    assert str(choices[0]) == (
        "2 vectors x 8 channels, columns outside, taps first (tuned at 360x640, threads 1; sums too large for Winograd)"
    )
    plain = Tuning((LOG,)).choose(kernel(dataclasses.replace(conv(), dilation=(2, 2))), DOT.columns, DOT)
    assert str(plain) == (
        "2 vectors x 4 channels, columns outside, taps first (default; weights too large for pairs of bytes)"
    )


def test_a_tile_by_static_cost_is_taken_and_counted_as_such():
    record = dataclasses.replace(best(task(360, 640), B), cpu="llvm-mca, cortex-a55 at 1 GHz")
    choice = Tuning(((record,),)).choose(kernel(conv()), DOT.columns, DOT)
    assert choice.tile == B
    assert "(by static cost;" in str(choice)
    found = coverage([kernel(conv())], [choice])
    assert str(found) == "1/1 kernels, 100 % of MACs (by static cost, not timed)"
    timed = Tuning((LOG,)).choose(kernel(conv()), DOT.columns, DOT)
    both = coverage([kernel(conv())] * 2, [choice, timed])
    assert str(both) == "2/2 kernels, 100 % of MACs (1 of them by static cost, not timed)"


def test_logs_are_read_from_folders(tmp_path: Path):
    target = find_target("x86-sse4")
    with open_log(tmp_path, LogHeader.of(target)) as writer:
        for record in LOG:
            writer.append(record)
    tuning = read_tuning(target, [tmp_path], (180, 320))
    assert tuning.logs[0] == LOG
    assert (tuning.height, tuning.width, tuning.threads) == (180, 320, target.cores)
    with pytest.raises(TuningError, match="there is no tuning log"):
        read_tuning(find_target("x86-avx2"), [tmp_path])
    path = log_path(tmp_path, LogHeader.of(target))
    path.write_bytes(path.read_bytes().replace(b"x86-64-v2", b"x86-64-v9", 1))
    with pytest.raises(TuningError, match="cpu x86-64-v9 instead of x86-64-v2"):
        read_tuning(target, [tmp_path])


def test_the_header_says_what_changes_the_code():
    target = find_target("x86-sse4")
    assert dataclasses.replace(LogHeader.of(target), tvm=HEADER.tvm) == HEADER
    assert LogHeader.of(dataclasses.replace(target, cores=17, description="?")) == LogHeader.of(target)
