"""The plan of bands, executed on rows that know what they were made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolchain.kernels.bands import Bands, Read, Step, plan_bands

OUTSIDE = "outside"
"""What a row above or below the picture is."""


def row_of(steps: list[Step], index: int, window: list[list[object]]) -> object:
    """What step ``index`` makes of the rows it reads; parts of a tensor stay apart, as blocks do."""
    return hash((index, *map(tuple, window)))


def directly(steps: list[Step], buffers: int, height: int) -> list[object]:
    """The picture, tensor by tensor: each is a list of dicts, from the step that wrote a part to that part."""
    tensors: list[list[dict[int, object]]] = [[{} for _ in range(height)] for _ in range(buffers)]
    picture: list[object] = []
    for index, step in enumerate(steps):
        for y in range(height):
            window = [
                [
                    source(None if read.buffer is None else tensors[read.buffer], y + d, height, index)
                    for d in range(-read.above, read.below + 1)
                ]
                for read in step.reads
            ]
            value = row_of(steps, index, window)
            if step.writes is None:
                picture.append(value)
            else:
                tensors[step.writes][y][index] = value
    return picture


def source(rows: list[dict[int, object]] | None, y: int, height: int, reader: int) -> object:
    """Row y of the input picture or of a tensor, as far as it is written before ``reader`` runs."""
    if rows is None:
        return y
    return tuple(sorted((w, v) for w, v in rows[y].items() if w < reader)) if 0 <= y < height else OUTSIDE


def in_bands(steps: list[Step], plan: Bands, cut: tuple[int, int], height: int, rows: int) -> list[object]:
    """The rows ``cut`` of the picture, by line buffers only, as the compiled function does it."""
    lines: list[list[dict[int, object] | str]] = [[OUTSIDE] * (rows + kept) for kept in plan.history]
    picture: dict[int, object] = {}
    for band in range(plan.count(rows, cut[1] - cut[0])):
        front = cut[0] - plan.lead + band * rows
        for index, step in enumerate(steps):
            own = plan.steps[index]
            top = front - own.lag
            first = max(top, cut[0] - own.up, 0)
            last = min(top + rows, cut[1] + own.down, height)
            for y in range(first, last):
                window = []
                for read, start in zip(step.reads, own.starts, strict=True):
                    if read.buffer is None:
                        window.append([y])
                        continue
                    begin = y - top + start
                    assert begin >= 0
                    line = lines[read.buffer][begin : begin + read.above + read.below + 1]
                    assert len(line) == read.above + read.below + 1, "a window reaches beyond its line buffer"
                    window.append(
                        [
                            r if isinstance(r, str) else tuple(sorted((w, v) for w, v in r.items() if w < index))
                            for r in line
                        ]
                    )
                value = row_of(steps, index, window)
                if step.writes is None:
                    picture[y] = value
                else:
                    place = y - top + own.offset
                    before = lines[step.writes][place]
                    # What lies there from other rows is written over by every step that has a part of the tensor.
                    kept = {} if isinstance(before, str) else {w: v for w, v in before.items() if w != index}
                    lines[step.writes][place] = {**kept, index: value}
            if step.writes is not None:
                for y in range(max(height, top), top + rows):
                    lines[step.writes][y - top + own.offset] = OUTSIDE
        for line, kept in zip(lines, plan.history, strict=True):
            line[:kept] = line[rows : rows + kept]
    return [picture[y] for y in range(*cut)]


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Step], int]:
    """Steps with windows of all kinds, tensors written in parts, skips over any distance."""
    steps = [Step((Read(None),), 0)]
    written, buffers = [0], 1
    for _ in range(draw(st.integers(0, 7))):
        reads = tuple(
            Read(draw(st.sampled_from(written)), draw(st.integers(0, 3)), draw(st.integers(0, 3)))
            for _ in range(draw(st.integers(1, 2)))
        )
        if draw(st.integers(0, 3)) == 0:
            target = draw(st.sampled_from(written))
        else:
            target, buffers = buffers, buffers + 1
            written.append(target)
        steps.append(Step(reads, target))
    last = tuple(Read(buffer, 1, 1) for buffer in range(buffers))  # nothing is computed for nobody
    return [*steps, Step(last, None)], buffers


@given(networks(), st.integers(1, 30), st.integers(1, 9), st.integers(1, 3))
def test_bands_give_what_whole_tensors_give(network: tuple[list[Step], int], height: int, rows: int, threads: int):
    steps, buffers = network
    plan, wanted = plan_bands(steps, buffers), directly(steps, buffers, height)
    cuts = [(height * t // threads, height * (t + 1) // threads) for t in range(threads)]
    for cut in cuts:
        if cut[0] < cut[1]:
            assert in_bands(steps, plan, cut, height, rows) == wanted[slice(*cut)]


def test_a_chain_keeps_two_rows_and_a_skip_more():
    steps = [
        Step((Read(None),), 0),
        Step((Read(0, 1, 1),), 1),
        Step((Read(1, 1, 1),), 2),
        Step((Read(2, 1, 1), Read(0)), None),
    ]
    plan = plan_bands(steps, 3)
    assert [step.lag for step in plan.steps] == [0, 1, 2, 3]
    assert plan.history == (3, 2, 2)
    assert [(step.up, step.down) for step in plan.steps] == [(3, 3), (2, 2), (1, 1), (0, 0)]


def test_a_late_branch_is_computed_late():
    """A branch with a large output from a small input waits for the other one: its input is what is kept."""
    steps = [
        Step((Read(None),), 0),
        *[Step((Read(i, 1, 1),), i + 1) for i in range(4)],
        Step((Read(0, 1, 1),), 5),
        Step((Read(4), Read(5)), None),
    ]
    plan = plan_bands(steps, 6)
    assert plan.steps[5].lag == plan.steps[4].lag == 4
    assert plan.history[0] == 5
    assert plan.history[5] == 0
