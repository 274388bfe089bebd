"""Sizes of tensors in a launch plan, from TVM's expressions of the picture's."""

from __future__ import annotations

from math import gcd
from typing import Any

from tvm import tirx

from toolchain.bundle.launch_plan import Change, Size
from toolchain.lower.calls import Extent
from toolchain.support.errors import ModelError


def size_of(extent: Extent, sides: Extent) -> Size:
    """Return the size that ``extent`` says, in terms of the picture's height and width in units.

    Raises:
        ModelError: a plan cannot say it.
    """
    height, width = (_merged(_changes(side, unit)) for side, unit in zip(extent, sides, strict=True))
    return Size(height, width)


def _changes(side: Any, unit: Any) -> list[Change]:
    """Return what becomes of ``unit`` until it is ``side``, one operation after the other."""
    if isinstance(side, int | tirx.IntImm):
        return [Change(0, int(side))]
    if side.same_as(unit):
        return []
    match side:
        case tirx.Add(a=given, b=tirx.IntImm(value=number)) | tirx.Add(a=tirx.IntImm(value=number), b=given):
            return [*_changes(given, unit), Change(plus=int(number))]
        case tirx.Mul(a=given, b=tirx.IntImm(value=number)) | tirx.Mul(a=tirx.IntImm(value=number), b=given):
            return [*_changes(given, unit), Change(int(number))]
        case tirx.Sub(a=given, b=tirx.IntImm(value=number)):
            return [*_changes(given, unit), Change(plus=-int(number))]
        case tirx.Sub(a=tirx.IntImm(value=number), b=given):
            return [*_changes(given, unit), Change(-1, int(number))]
        case tirx.FloorDiv(a=given, b=tirx.IntImm(value=number)) if int(number) > 0:
            return [*_changes(given, unit), Change(per=int(number))]
    raise ModelError(
        f"a tensor within the network has a size that no plan for OpenCL can say: {side}", hint="deploy it for a CPU"
    )


def _merged(changes: list[Change]) -> tuple[Change, ...]:
    """Return the same in as few steps as are clear, so that equal sizes are equal."""
    made: list[Change] = []
    for change in changes:
        if made and made[-1].per == 1:
            last = made.pop()
            change = Change(last.times * change.times, last.plus * change.times + change.plus, change.per)
        common = gcd(change.times, change.plus, change.per)
        change = Change(change.times // common, change.plus // common, change.per // common)
        if change != Change():
            made.append(change)
    return tuple(made)
