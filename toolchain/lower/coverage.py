"""Count how much of a network's arithmetic our kernels do."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax

from toolchain.lower.bindings import Bindings
from toolchain.lower.depth_to_space import evaluate
from toolchain.lower.lowered import Coverage

SIDE = 48
"""Side of the picture on which multiply-accumulates are counted, in units."""


def measure(bindings: Bindings, covered: set[Any], float_operators: tuple[str, ...]) -> Coverage:
    """Coverage of the imported function, given the convolutions (Relax variables) that became kernels of ours."""
    side = SIDE * bindings.unit
    sizes = bindings.at(side, side)
    counts = [0, 0, 0, 0]
    for var, call in bindings.definitions.items():
        name = getattr(call.op, "name", "") if isinstance(call, relax.Call) else ""
        if name not in ("relax.nn.conv2d", "relax.nn.conv2d_transpose"):
            continue
        weight = [int(extent) for extent in call.args[1].ty.shape]
        # A convolution multiplies once per output pixel, a transposed one once per input pixel.
        counted = var if name == "relax.nn.conv2d" else call.args[0]
        pixels = math.prod(evaluate(extent, sizes) for extent in list(counted.ty.shape)[2:])
        macs = math.prod(weight) * pixels // side**2
        counts[1] += 1
        counts[3] += macs
        if var in covered:
            counts[0] += 1
            counts[2] += macs
    return Coverage(counts[0], counts[1], counts[2], counts[3], float_operators)
