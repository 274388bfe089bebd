"""Read the memory plan of a compiled network: what is allocated, as what, and how much at a given picture size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tvm import relax, tirx

from toolchain.lower.depth_to_space import evaluate


@dataclass(frozen=True)
class Storage:
    """One allocation: its element type, and its size in bytes at the size that was asked for."""

    dtype: str
    size: int


def storages(planned: Any, height: int, width: int) -> tuple[Storage, ...]:
    """Return every allocation of the planned ``main`` for an input of ``height`` x ``width`` pixels, output
    included.
    """
    function = planned["main"]
    shape = function.params[0].ty.shape
    sizes = {shape[0]: height, shape[1]: width}
    found = []
    for block in function.body.blocks:
        for binding in block.bindings:
            if isinstance(binding, relax.MatchCast):
                # Sizes get names: those of a frame's picture, or of one that is counted in units.
                kinds = binding.value.ty, binding.ty
                given, named = ((kind if isinstance(kind, relax.ShapeType) else kind.shape).values for kind in kinds)
                pairs = zip(named[:2], given[:2], strict=True)
                sizes |= {name: evaluate(extent, sizes) for name, extent in pairs if isinstance(name, tirx.Var)}
                continue
            call = binding.value
            name = getattr(call.op, "name", "") if isinstance(call, relax.Call) else ""
            if name == "relax.memory.alloc_storage":
                found.append(Storage(str(call.args[3].value), evaluate(call.args[0].values[0], sizes)))
            elif name == "relax.builtin.alloc_tensor":  # not planned: the result, which leaves the function
                dtype = str(call.args[1].value)
                extents = math.prod(evaluate(extent, sizes) for extent in call.args[0].values)
                found.append(Storage(dtype, extents * _width(dtype)))
    return tuple(found)


def _width(dtype: str) -> int:
    return int("".join(filter(str.isdigit, dtype)) or 8) // 8
