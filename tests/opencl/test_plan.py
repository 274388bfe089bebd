"""Launch plans are plain data: written, read back, and refused where they are damaged."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from toolchain.bundle.launch_plan import (
    PICTURE,
    RESULT,
    SCALARS,
    Buffer,
    Change,
    Extent,
    Launch,
    LaunchPlan,
    Size,
    fitting,
    lay_out,
    parse_plan,
)
from toolchain.support.errors import BundleError

LAUNCH = Launch(
    "conv0",
    ("conv0.weights", PICTURE, "tensor0", RESULT, "height", "pitch", "width"),
    (Extent("width", 4), Extent("height"), Extent("one", 1, 7)),
    (8, 4, 2),
)
ARRAYS = {"conv0.weights": np.arange(5, dtype=np.uint32), "conv0.bias": np.arange(3, dtype=np.int32)}
PLAN = LaunchPlan(3, 2, 1, 8, (Buffer("tensor0", "uint32", 2, 7),), lay_out(ARRAYS)[0], (LAUNCH,))


def test_what_is_written_is_read():
    assert parse_plan(PLAN.to_json(), "x") == PLAN


def items(launch: Launch, height: int, width: int) -> tuple[int, int, int]:
    return launch.items(PLAN.scalars(launch, height, width))


def test_sizes_follow_the_picture():
    assert items(LAUNCH, 5, 33) == (16, 8, 8)  # 9 work-items of 4 pixels, 5 rows, 7 parts: in whole work-groups
    assert PLAN.shape(PLAN.buffers[0], 5, 33) == (7, 2, 72)
    assert PLAN.scalars(LAUNCH, 5, 33) == dict(zip(SCALARS, (5, 72, 33) * 2, strict=True))
    assert PLAN.workspace(5, 33) == 4 * 7 * 2 * 72 + 10 * 66 * 3


def test_sizes_follow_what_is_read():
    twice = Size.times(2)
    larger, buffer = replace(LAUNCH, size=twice), replace(PLAN.buffers[0], size=twice)
    assert items(larger, 5, 33) == (24, 12, 8)  # 17 work-items of 4 pixels, 10 rows, 7 parts
    assert {name: PLAN.scalars(larger, 5, 33)[name] for name in SCALARS[:3]} == {
        "height": 10,
        "pitch": 104,
        "width": 66,
    }
    assert PLAN.shape(buffer, 5, 33) == (12, 2, 104)


def test_sizes_follow_what_is_written():
    """By steps of two without padding, then by one more column."""
    size = Size((Change(1, -3, 2), Change(plus=1)), (Change(1, -3, 2), Change(plus=2)))
    smaller = replace(LAUNCH, result=size, work=(Extent("columns", 4, 1, 2), Extent("rows"), Extent("one")))
    scalars = PLAN.scalars(smaller, 5, 33)
    assert [scalars[name] for name in SCALARS[3:]] == [2, 56, 17]
    assert items(smaller, 5, 33) == (8, 4, 2)
    plan = replace(PLAN, buffers=(replace(PLAN.buffers[0], size=size),))
    assert plan.fits(1, 1) is False
    assert plan.fits(3, 1)


def test_halves_of_rows_are_filled():
    buffer = replace(PLAN.buffers[0], low=9)
    fills = list(PLAN.fills(buffer, 5, 33))
    assert fills[:3] == [(7, 0, 288), (9, 288, 288), (7, 576, 288)]
    assert len(fills) == 2 * 7
    assert sum(count for _, _, count in fills) == PLAN.size(buffer, 5, 33)
    assert list(PLAN.fills(PLAN.buffers[0], 5, 33)) == [(7, 0, 4 * 7 * 2 * 72)]


@pytest.mark.parametrize(
    ("group", "most", "along", "expected"),
    [
        ((32, 8, 1), 256, (1024, 1024, 64), (32, 8, 1)),
        ((32, 8, 1), 32, (1024, 1024, 64), (32, 1, 1)),
        ((16, 4, 4), 32, (1024, 1024, 64), (16, 2, 1)),
        ((64, 1, 1), 4, (1024, 1024, 64), (4, 1, 1)),
        ((16, 8, 1), 256, (2, 1024, 64), (2, 8, 1)),
        ((7, 5, 3), 6, (1024, 1024, 64), (3, 1, 1)),
        ((8, 4, 2), 1, (1, 1, 1), (1, 1, 1)),
    ],
)
def test_work_groups_fit_the_device(
    group: tuple[int, int, int], most: int, along: tuple[int, int, int], expected: tuple[int, int, int]
):
    assert fitting(group, most, along) == expected
    scalars = PLAN.scalars(LAUNCH, 5, 33)
    for size, local, extent in zip(LAUNCH.items(scalars, expected), expected, LAUNCH.work, strict=True):
        assert size % local == 0
        assert size >= extent.count(scalars)


def test_constants_lie_where_the_plan_says():
    constants, data = lay_out(ARRAYS)
    for constant in constants:
        assert constant.offset % 64 == 0
        found = np.frombuffer(data, constant.dtype, constant.count, constant.offset)
        np.testing.assert_array_equal(found, ARRAYS[constant.name])


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("format_version",), 1, "of another version"),
        (("scale",), 0, "Plan.scale must be a whole number from 1"),
        (("scale",), 10**30, "holds the number 1000000000000"),
        (("margin",), -1, "Plan.margin must be a whole number from 0"),
        (("buffers", 0, "zero_point"), 256, "Buffer.zero_point must be a whole number from 0 to 255, not 256"),
        (("constants", 0, "offset"), 2**40, "Constant.offset must be a whole number"),
        (("launches",), [], "it launches nothing"),
        (("launches", 0, "work", 0, "per"), 1.5, r"garbles a part: Extent\.per must be a whole number .*, not 1\.5"),
        (("launches", 0, "work", 0, "size"), "depth", r"lacks or garbles a part: Extent\.size must be one of"),
        (("launches", 0, "kernel"), "../../secret", "Launch.kernel must be a name of letters, digits and underscores"),
        (("launches", 0, "arguments", 2), "tensor9", "names what is not there"),
        (("constants", 0, "dtype"), "float64", "Constant.dtype must be one of"),
        (("launches", 0, "group"), [8, 4], "lacks or garbles"),
    ],
)
def test_damage_is_named(path: tuple[str | int, ...], value: object, sentence: str):
    table = json.loads(PLAN.to_json())
    inner = table
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(BundleError, match=sentence):
        parse_plan(json.dumps(table), "x")
    for text in ("{", "[]", "1", '{"format": NaN}'):
        with pytest.raises(BundleError, match="damaged"):
            parse_plan(text, "x")
