"""The plan of bands, executed on rows that know what they were made of."""

from __future__ import annotations

import math
from fractions import Fraction

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
    tensors: list[list[dict[int, object]]] = [[] for _ in range(buffers)]
    picture: list[object] = []
    for index, step in enumerate(steps):
        operand = step.reads[0]
        rows = (height if operand.buffer is None else len(tensors[operand.buffer])) // operand.stride
        target = None if step.writes is None else tensors[step.writes]
        if target is not None and not target:
            target += [{} for _ in range(rows * step.scale)]
        for y in range(rows):
            window = [
                [
                    source(None if read.buffer is None else tensors[read.buffer], y * read.stride + d, height, index)
                    for d in range(-read.above, read.below + 1)
                ]
                for read in step.reads
            ]
            value = row_of(steps, index, window)
            for part in range(step.scale):
                if target is None:
                    picture.append((value, part))
                else:
                    target[y * step.scale + part][index] = (value, part)
    return picture


def source(rows: list[dict[int, object]] | None, y: int, height: int, reader: int) -> object:
    """Row y of the input picture or of a tensor, as far as it is written before ``reader`` runs."""
    if rows is None:
        return y
    return tuple(sorted((w, v) for w, v in rows[y].items() if w < reader)) if 0 <= y < len(rows) else OUTSIDE


def in_bands(steps: list[Step], plan: Bands, cut: tuple[int, int], height: int, rows: int) -> list[object]:
    """The rows ``cut`` of the picture, by line buffers only, as the compiled function does it."""
    band_rows = [int(rows * rate) for rate in plan.rates]
    lines: list[list[dict[int, object] | str]] = [
        [OUTSIDE] * (size + kept) for size, kept in zip(band_rows, plan.history, strict=True)
    ]
    picture: dict[int, object] = {}
    for band in range(plan.count(rows, cut[1] - cut[0])):
        front = cut[0] - plan.lead + band * rows
        for index, step in enumerate(steps):
            own = plan.steps[index]
            top, size = int(front * own.rate) - own.lag, int(rows * own.rate)
            first = max(top, int(cut[0] * own.rate) - own.up, 0)
            last = min(top + size, int(cut[1] * own.rate) + own.down, int(height * own.rate))
            for y in range(first, last):
                window = []
                for read, start in zip(step.reads, own.starts, strict=True):
                    if read.buffer is None:
                        window.append([y])
                        continue
                    begin = (y - top) * read.stride + start
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
                for part in range(step.scale):
                    if step.writes is None:
                        picture[y * step.scale + part] = (value, part)
                        continue
                    place = (y - top) * step.scale + part + own.offset
                    before = lines[step.writes][place]
                    # What lies there from other rows is written over by every step that has a part of the tensor.
                    kept = {} if isinstance(before, str) else {w: v for w, v in before.items() if w != index}
                    lines[step.writes][place] = {**kept, index: (value, part)}
            if step.writes is not None:
                whole, above = int(height * own.rate) * step.scale, top * step.scale
                for y in range(max(whole, above), above + size * step.scale):
                    lines[step.writes][y - above + own.offset] = OUTSIDE
        for line, size, kept in zip(lines, band_rows, plan.history, strict=True):
            line[:kept] = line[size : size + kept]
    scale = plan.steps[-1].rate * steps[-1].scale
    return [picture[y] for y in range(int(cut[0] * scale), int(cut[1] * scale))]


@st.composite
def networks(draw: st.DrawFn, *, scaled: bool) -> tuple[list[Step], int]:
    """Steps with windows of all kinds, tensors written in parts, skips over any distance; if ``scaled``, of several
    rates.
    """
    steps, rates = [Step((Read(None),), 0)], [Fraction(1)]

    def window(buffer: int, stride: int = 1) -> Read:
        return Read(buffer, draw(st.integers(0, 3)), draw(st.integers(0, 3)), stride)

    for _ in range(draw(st.integers(0, 7))):
        first = draw(st.integers(0, len(rates) - 1))
        strides, scales = ((1, 1, 2, 3), (1, 1, 2, 3)) if scaled else ((1,), (1,))
        stride, scale = draw(st.sampled_from(strides)), draw(st.sampled_from(scales))
        rate = rates[first] / stride * scale
        if max(rate.numerator, rate.denominator) > 6:
            continue
        alike = [buffer for buffer, other in enumerate(rates) if other == rates[first]]
        others = draw(st.lists(st.sampled_from(alike), max_size=1))
        reads = tuple(window(buffer, stride) for buffer in (first, *others))
        shared = [buffer for buffer, other in enumerate(rates) if other == rate]
        if shared and draw(st.integers(0, 3)) == 0:
            target = draw(st.sampled_from(shared))
        else:
            target = len(rates)
            rates.append(rate)
        steps.append(Step(reads, target, scale))
    # Nothing is computed for nobody: what is read at the end is enlarged to a common rate.
    common = Fraction(math.lcm(*(rate.numerator for rate in rates)), math.gcd(*(rate.denominator for rate in rates)))
    for buffer, rate in enumerate(list(rates)):
        if rate < common:
            steps.append(Step((window(buffer),), len(rates), int(common / rate)))
            rates.append(common)
    last = tuple(Read(buffer, 1, 1) for buffer, rate in enumerate(rates) if rate == common)
    return [*steps, Step(last, None, draw(st.integers(1, 2)) if scaled else 1)], len(rates)


@given(st.booleans().flatmap(lambda scaled: networks(scaled=scaled)), st.data())
def test_bands_give_what_whole_tensors_give(network: tuple[list[Step], int], data: st.DataObject):
    steps, buffers = network
    plan = plan_bands(steps, buffers)
    units, rows = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 9)) * plan.unit
    threads, height = data.draw(st.integers(1, 3)), units * plan.unit
    wanted, scale = directly(steps, buffers, height), plan.steps[-1].rate * steps[-1].scale
    cuts = [(units * t // threads * plan.unit, units * (t + 1) // threads * plan.unit) for t in range(threads)]
    for cut in cuts:
        if cut[0] < cut[1]:
            assert in_bands(steps, plan, cut, height, rows) == wanted[slice(*(int(row * scale) for row in cut))]


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


def test_a_shuffle_keeps_few_rows_of_either_size():
    """A convolution, a shuffle by two, and another convolution: two of its rows are one of the picture."""
    steps = [
        Step((Read(None),), 0),
        Step((Read(0, 1, 1),), 1),
        Step((Read(1),), 2, 2),
        Step((Read(2, 1, 1),), None),
    ]
    plan = plan_bands(steps, 3)
    assert plan.rates == (1, 1, 2)
    assert [step.rate for step in plan.steps] == [1, 1, 1, 2]
    assert [step.lag for step in plan.steps] == [0, 1, 1, 3]
    assert plan.history == (2, 0, 2)
    assert [(step.up, step.down) for step in plan.steps] == [(2, 2), (1, 1), (1, 1), (0, 0)]
    assert (plan.lead, plan.tail, plan.unit) == (2, 2, 1)


def test_a_skip_to_a_larger_picture_waits_small():
    """What is added at the end is enlarged when it is needed: the few bytes of the picture are what is kept."""
    steps = [
        Step((Read(None),), 0),
        *[Step((Read(i, 1, 1),), i + 1) for i in range(4)],
        Step((Read(4),), 5, 2),
        Step((Read(0),), 6, 2),
        Step((Read(5, 1, 1), Read(6)), None),
    ]
    plan = plan_bands(steps, 7)
    assert [step.lag for step in plan.steps] == [0, 1, 2, 3, 4, 4, 4, 9]
    assert plan.history == (4, 2, 2, 2, 0, 2, 1)


def test_a_smaller_tensor_has_a_rate_below_one():
    """A stride of two, and back by a shuffle: bands are whole rows of all tensors."""
    steps = [
        Step((Read(None),), 0),
        Step((Read(0, 1, 1, 2),), 1),
        Step((Read(1, 1, 1),), 2, 2),
        Step((Read(2), Read(0)), None),
    ]
    plan = plan_bands(steps, 3)
    assert plan.rates == (1, Fraction(1, 2), 1)
    assert plan.unit == 2
    assert [step.rate for step in plan.steps] == [1, Fraction(1, 2), Fraction(1, 2), 1]
    assert [step.lag for step in plan.steps] == [0, 0, 1, 2]
    assert plan.history == (2, 2, 0)
