"""Shapes with a picture's size written into them, as shapes that follow the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolchain.frontend.tflite.emitter import Emitter

_SMALL = 8
"""The smallest size that may be a picture's: blocks of pixel shuffles and batches are smaller."""


def new_shape(emitter: Emitter, source: str, given: Sequence[int], wanted: Sequence[int]) -> str:
    """Return the name of the shape that a tensor is to have, which is ``wanted`` for the picture of the file's size.

    Axes that are kept, or joined to one, follow the picture that the graph is given, rows before columns; parts of
    channels are numbers. Else the picture's size is baked in.

    Args:
        emitter: of the network.
        source: the tensor's name.
        given: its shape as the file has it.
        wanted: what it becomes.
    """
    name = f"{source}_shape"
    parts: list[str] = []
    sides = 0
    for inner, outer in _groups(given, wanted):
        if all(_fixed(emitter, given, axis) for axis in inner):
            parts.append(emitter.array(np.array(outer, np.int64), name))
            continue
        side = _side(emitter, outer[0], sides) if len(outer) == 1 and sides < 2 else None
        if side is None:
            parts.clear()
            break
        parts.append(side)
        sides += 1
    if not parts:
        emitter.baked |= not all(_fixed(emitter, given, axis) for axis in range(len(given)))
        return emitter.array(np.array(wanted, np.int64), name)
    return emitter.add("Concat", parts, name, axis=0) if len(parts) > 1 else parts[0]


def keeps_order(order: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether rows still come before columns where axes of a tensor of ``shape`` are put into another ``order``."""
    free = [axis for axis in order if shape[axis] >= _SMALL and axis != len(shape) - 1]
    return free == sorted(free)


def _fixed(emitter: Emitter, given: Sequence[int], axis: int) -> bool:
    """Whether an axis cannot be one of a picture: blocks are small, and channels lie last."""
    if 0 < given[axis] < _SMALL:
        return True
    sides = emitter.tensor(emitter.contents.inputs[0]).shape[1:3]
    return axis == len(given) - 1 and all(side > 0 and given[axis] % side for side in sides)


def _groups(given: Sequence[int], wanted: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return which axes of ``given`` become which sizes of ``wanted``, in order; nothing where sizes are free or
    differ.
    """
    if min((*given, *wanted), default=0) < 1:
        return []
    found: list[tuple[list[int], list[int]]] = []
    axis = place = 0
    while axis < len(given) and place < len(wanted):
        inner, outer = [axis], [wanted[place]]
        left, right = given[axis], wanted[place]
        axis, place = axis + 1, place + 1
        while left != right:
            if left < right and axis < len(given):
                inner, left, axis = [*inner, axis], left * given[axis], axis + 1
            elif right < left and place < len(wanted):
                outer, right, place = [*outer, wanted[place]], right * wanted[place], place + 1
            else:
                return []
        found.append((inner, outer))
    return found if axis == len(given) and place == len(wanted) else []


def _side(emitter: Emitter, size: int, side: int) -> str | None:
    """Return the name of a size, int64 (1,), that is to the graph's picture as ``size`` is to the file's; None where
    that is no whole number of times more or less.

    ``side``: 0 for rows, 1 for columns.
    """
    own = emitter.tensor(emitter.contents.inputs[0]).shape[1 + side]
    if own < 1 or (size % own and own % size):
        return None
    shape = emitter.add("Shape", ["input"])
    found = emitter.add("Gather", [shape, emitter.array(np.array([2 + side], np.int64), "side")], axis=0)
    if size == own:
        return found
    factor = emitter.array(np.array([max(size // own, own // size)], np.int64), "factor")
    return emitter.add("Mul" if size > own else "Div", [found, factor])
