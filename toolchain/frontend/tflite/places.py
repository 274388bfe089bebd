"""Operators that give numbers other places: blocks, borders, parts, other shapes."""

from __future__ import annotations

from typing import Final

import numpy as np

from toolchain.frontend.graph import Array
from toolchain.frontend.tflite.contents import Operator
from toolchain.frontend.tflite.elementwise import axis_of
from toolchain.frontend.tflite.emitter import TO_FIRST, TO_LAST, Emitter
from toolchain.frontend.tflite.reshaping import keeps_order, new_shape
from toolchain.support.errors import ModelError

_LAST = np.iinfo(np.int64).max


def _block(emitter: Emitter, operator: Operator) -> None:
    block = int(operator.options["BlockSize"])
    if not 0 < block < 64:
        raise ModelError(f"{operator} has a block size of {block}", hint="the file is damaged")
    deep = operator.kind == "DEPTH_TO_SPACE"
    settings = {"mode": "DCR"} if deep else {}
    kind = "DepthToSpace" if deep else "SpaceToDepth"
    name = emitter.add(
        kind, [emitter.read(operator.read(0))], emitter.tensor(operator.output).name, blocksize=block, **settings
    )
    emitter.write(operator.output, name)


def _pad(emitter: Emitter, operator: Operator) -> None:
    rank = emitter.tensor(operator.read(0)).rank
    given = emitter.constant(operator, 1).astype(np.int64)
    if given.shape != (rank, 2):
        raise ModelError(f"{operator} has paddings of shape {given.shape}", hint="the file is damaged")
    placed = given[list(TO_FIRST)] if rank == 4 else given
    mode, inputs = "constant", []
    if operator.kind == "MIRROR_PAD":
        mode = "reflect" if operator.options["Mode"] == 0 else "edge"
        if mode == "edge" and given.max(initial=0) > 1:
            raise ModelError(f"{operator} mirrors the border itself too", hint="pad by reflection without the border")
    elif operator.kind == "PADV2":
        inputs = [emitter.array(emitter.constant(operator, 2).reshape(()).astype(np.float32), "padded")]
    source = emitter.read(operator.read(0))
    pads = emitter.array(placed.T.reshape(-1), f"{source}_pads")
    emitter.write(operator.output, emitter.add("Pad", [source, pads, *inputs], mode=mode))


def _reshape(emitter: Emitter, operator: Operator) -> None:
    source, target = emitter.tensor(operator.read(0)), emitter.tensor(operator.output)
    shape = emitter.numbers(operator.inputs[1]) if len(operator.inputs) > 1 and operator.inputs[1] >= 0 else None
    computed = len(operator.inputs) > 1 and operator.inputs[1] >= 0 and shape is None
    given = emitter.last(operator.read(0))
    if computed:
        wanted = emitter.read(operator.inputs[1])
    else:
        sizes = [int(size) for size in (shape.ravel() if shape is not None else target.shape)]
        wanted = new_shape(emitter, given, source.shape, sizes)
    emitter.write_last(operator.output, emitter.add("Reshape", [given, wanted], target.name))


def _squeeze(emitter: Emitter, operator: Operator) -> None:
    """As a change of shape: what is left out or put in has size 1, which nothing else need know."""
    source, target = emitter.tensor(operator.read(0)), emitter.tensor(operator.output)
    if -1 in source.shape or -1 in target.shape:
        raise ModelError(f"{operator} is not known for pictures of free size", hint="export it with a fixed size")
    emitter.baked |= source.rank > 1
    wanted = emitter.array(np.array(target.shape, np.int64), f"{target.name}_shape")
    emitter.write_last(operator.output, emitter.add("Reshape", [emitter.last(operator.read(0)), wanted], target.name))


def _transpose(emitter: Emitter, operator: Operator) -> None:
    order = emitter.integers(operator, 1)
    if sorted(order) != list(range(emitter.tensor(operator.read(0)).rank)):
        raise ModelError(f"{operator} has an order of {order}", hint="the file is damaged")
    emitter.baked |= not keeps_order(order, emitter.tensor(operator.read(0)).shape)
    emitter.write_last(operator.output, emitter.add("Transpose", [emitter.last(operator.read(0))], perm=order))


def _slice(emitter: Emitter, operator: Operator) -> None:
    begin, size = emitter.integers(operator, 1), emitter.integers(operator, 2)
    shape = emitter.tensor(operator.read(0)).shape
    if not len(begin) == len(size) == len(shape):
        raise ModelError(f"{operator} has a wrong number of sizes", hint="the file is damaged")
    ends = [_LAST if s < 0 else b + s for b, s in zip(begin, size, strict=True)]
    emitter.write(operator.output, _cut(emitter, operator, begin, ends, [1] * len(shape)))


def _strided_slice(emitter: Emitter, operator: Operator) -> None:
    options = operator.options
    begin, end, step = (emitter.integers(operator, place) for place in (1, 2, 3))
    rank = emitter.tensor(operator.read(0)).rank
    if options["EllipsisMask"] or options["NewAxisMask"] or not len(begin) == len(end) == len(step) <= rank:
        raise ModelError(f"{operator} has an ellipsis or new axes", hint="name every axis in the slice")
    if not all(step):
        raise ModelError(f"{operator} has steps of 0", hint="the file is damaged")
    shrunk = [axis for axis in range(len(begin)) if options["ShrinkAxisMask"] >> axis & 1]
    for axis in range(len(begin)):
        if axis in shrunk:
            end[axis], step[axis] = begin[axis] + 1 or _LAST, 1
            continue
        if options["BeginMask"] >> axis & 1:
            begin[axis] = 0 if step[axis] > 0 else _LAST
        if options["EndMask"] >> axis & 1:
            end[axis] = _LAST if step[axis] > 0 else -_LAST
    name = _cut(emitter, operator, begin, end, step)
    if not shrunk:
        emitter.write(operator.output, name)
        return
    if rank == 4:
        name = emitter.add("Transpose", [name], perm=TO_LAST)
    axes = emitter.array(np.array(shrunk, np.int64), "axes")
    emitter.write_last(operator.output, emitter.add("Squeeze", [name, axes]))


def _cut(emitter: Emitter, operator: Operator, begin: list[int], end: list[int], step: list[int]) -> str:
    """Cut parts out; ends within a picture are counted from its far border, so that any size can be cut."""
    shape = emitter.tensor(operator.read(0)).shape
    axes, begins, ends = [], list(begin), list(end)
    for axis, size in enumerate(shape[: len(begin)]):
        whole = begins[axis] == 0 and step[axis] == 1 and (ends[axis] >= _LAST or ends[axis] == size)
        if whole:
            continue
        if len(shape) == 4 and axis in (1, 2) and size > 0 and step[axis] > 0 and 0 <= ends[axis] < _LAST:
            ends[axis] = _LAST if ends[axis] >= size else ends[axis] - size
        axes.append(axis)
    source = emitter.read(operator.read(0))
    if not axes:
        return emitter.add("Identity", [source], emitter.tensor(operator.output).name)
    lists = [[given[axis] for axis in axes] for given in (begins, ends)]
    lists += [[axis_of(operator, axis, len(shape)) for axis in axes], [step[axis] for axis in axes]]
    names = [emitter.array(np.array(one, np.int64), f"{source}_cut") for one in lists]
    return emitter.add("Slice", [source, *names], emitter.tensor(operator.output).name)


def _split(emitter: Emitter, operator: Operator) -> None:
    sizes = operator.kind == "SPLIT_V"
    source, axis_at = (0, 2) if sizes else (1, 0)
    tensor = emitter.tensor(operator.read(source))
    (axis,) = emitter.integers(operator, axis_at)[:1] or [0]
    place = axis_of(operator, axis, tensor.rank)
    whole, count = tensor.shape[axis % tensor.rank], len(operator.outputs)
    parts = emitter.integers(operator, 1) if sizes else [whole // max(count, 1)] * count
    if whole < 1 or sum(parts) != whole or len(parts) != count or tensor.rank != 4 or axis % 4 != 3:
        raise ModelError(f"{operator} does not divide channels", hint="divide along the channels")
    name, start = emitter.read(operator.read(source)), 0
    for output, part in zip(operator.outputs, parts, strict=True):
        lists = [[start], [start + part], [place]]
        names = [emitter.array(np.array(one, np.int64), f"{name}_part") for one in lists]
        emitter.write(output, emitter.add("Slice", [name, *names], emitter.tensor(output).name))
        start += part


def _gather(emitter: Emitter, operator: Operator) -> None:
    tensor = emitter.tensor(operator.read(0))
    indices = emitter.constant(operator, 1).astype(np.int64)
    if operator.options["BatchDims"] or indices.ndim > 1:
        raise ModelError(f"{operator} chooses by a table", hint="choose channels by a list of numbers")
    axis = int(operator.options["Axis"])
    if indices.ndim == 1:
        place = axis_of(operator, axis, tensor.rank)
        named = emitter.array(indices, "indices")
        emitter.write(operator.output, emitter.add("Gather", [emitter.read(operator.read(0)), named], axis=place))
        return
    named = emitter.array(indices, "indices")
    found = emitter.add("Gather", [emitter.last(operator.read(0)), named], axis=axis)
    emitter.write_last(operator.output, found)


def _reverse(emitter: Emitter, operator: Operator) -> None:
    tensor = emitter.tensor(operator.read(0))
    name = emitter.read(operator.read(0))
    for axis in emitter.integers(operator, 1):
        lists: list[list[int]] = [[_LAST], [-_LAST], [axis_of(operator, axis, tensor.rank)], [-1]]
        arrays: list[Array] = [np.array(one, np.int64) for one in lists]
        name = emitter.add("Slice", [name, *(emitter.array(one, "reversed") for one in arrays)])
    emitter.write(operator.output, name)


def _tile(emitter: Emitter, operator: Operator) -> None:
    repeats = emitter.integers(operator, 1)
    if len(repeats) == 4:
        repeats = [repeats[axis] for axis in TO_FIRST]
    named = emitter.array(np.array(repeats, np.int64), "repeats")
    emitter.write(operator.output, emitter.add("Tile", [emitter.read(operator.read(0)), named]))


OPERATORS: Final = {
    "DEPTH_TO_SPACE": _block,
    "SPACE_TO_DEPTH": _block,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": _squeeze,
    "TRANSPOSE": _transpose,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "GATHER": _gather,
    "REVERSE_V2": _reverse,
    "TILE": _tile,
}
