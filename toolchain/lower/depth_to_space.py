"""What the reshapes and transposes at the end of a network do to pixels: depth-to-space in whatever spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, sym, tirx

from toolchain.kernels.spec import DepthToSpace

MOVES = {"relax.reshape", "relax.permute_dims"}


def trace(definitions: dict[Any, Any], result: Any) -> tuple[Any, list[Any]]:
    """Follow ``result`` back through movement operators: the variable they start from, and the calls in order."""
    calls: list[Any] = []
    while result in definitions:
        call = definitions[result]
        if isinstance(call, relax.Var):
            result = call
            continue
        if not isinstance(call, relax.Call) or getattr(call.op, "name", "") not in MOVES:
            break
        calls.insert(0, call)
        result = call.args[0]
    return result, calls


def pixel_table(calls: list[Any], shape: Any, height: Any, width: Any) -> DepthToSpace | None:
    """Return the depth-to-space that ``calls`` perform on a tensor ``(1, C, h, w)``; None if they do anything else.

    The operators are run once on an array of indices of a small picture; ``shape`` is an expression of the symbolic
    variables ``height`` and ``width`` of the module.
    """
    for small in (3, 131):  # the larger where borders are cut
        sizes = {height: small, width: small + 2}
        _, channels, rows, columns = (evaluate(extent, sizes) for extent in shape)
        if min(rows, columns) > 0:
            break
    else:
        return None
    index = np.arange(channels * rows * columns).reshape(1, channels, rows, columns)
    moved = carried_out(calls, index, sizes)
    if moved is None or moved.ndim != 4 or moved.shape[0] != 1 or moved.shape[2] % rows or moved.shape[3] % columns:
        return None
    scale = moved.shape[2] // rows
    pixels = moved[0].transpose(1, 2, 0)
    table = pixels[:scale, :scale] // (rows * columns)
    y, x = np.mgrid[: rows * scale, : columns * scale]
    expected = (table[y % scale, x % scale] * rows + (y // scale)[..., None]) * columns + (x // scale)[..., None]
    if moved.shape[3] != columns * scale or not np.array_equal(pixels, expected):
        return None
    return DepthToSpace(scale, pixels.shape[2], tuple(int(slot) for slot in table.reshape(-1)))


def carried_out(calls: list[Any], moved: np.ndarray, sizes: dict[Any, int]) -> np.ndarray | None:
    """Return what reshapes and transposes make of an array; None where it does not fit."""
    for call in calls:
        if call.op.name == "relax.permute_dims":
            axes = call.attrs.axes
            moved = moved.transpose([int(a) for a in axes] if axes is not None else None)
        else:
            shape = [evaluate(extent, sizes) for extent in call.args[1].values]
            if int(np.prod(shape)) != moved.size:
                return None
            moved = moved.reshape(shape)
    return moved


def evaluate(extent: Any, values: dict[Any, int]) -> int:
    """Return a shape's extent with numbers for its symbolic variables."""
    if isinstance(extent, int):
        return extent
    analyzer = sym.Analyzer()
    for var, value in values.items():
        analyzer.bind(var, tirx.const(value, "int64"))
    return int(analyzer.simplify(extent))


def pattern(slots: tuple[int, ...], packing: int) -> tuple[int, int] | None:
    """(divide, modulo) with ``slots[c] == c // divide % modulo`` for all c, if there is one: as an `Operand` wants it
    that has ``packing`` channels a block.
    """
    modulo = max(slots) + 1
    for divide in (1, max(1, len(slots) // modulo)):
        if all(slot == channel // divide % modulo for channel, slot in enumerate(slots)):
            return divide, -(-modulo // packing) * packing if divide == 1 and modulo == len(slots) else modulo
    return None
