"""Give the channels of the convolution that ends a network the order of the pixels they become."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.kernels.layout import PACK
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.spec import DepthToSpace, Operand
from toolchain.lower.depth_to_space import pattern


def in_pixel_order(
    pixels: DepthToSpace, parameters: Parameters, operand: Operand | None
) -> tuple[DepthToSpace, Parameters, Operand | None]:
    """Return the three for channels in the order of ``pixels``, so that a kernel stores several bytes at once; as they
    are, where channels make several pixels or none, or where the residual would follow no rule.

    The convolution must have one group.
    """
    outputs = len(pixels.table)
    if sorted(pixels.table) != list(range(outputs)):
        return pixels, parameters, operand
    if operand is not None:
        slots = tuple(channel // operand.divide % operand.modulo for channel in pixels.table)
        rule = pattern(slots, PACK)
        if rule is None:
            return pixels, parameters, operand
        operand = replace(operand, divide=rule[0], modulo=rule[1])
    padded = len(parameters.bias)
    order = np.array([*pixels.table, *range(outputs, padded)])
    slopes = None if parameters.slopes is None else parameters.slopes[order]
    moved = replace(
        parameters,
        weights=parameters.weights[order],
        bias=parameters.bias[order],
        multiplier=parameters.multiplier[order],
        slopes=slopes,
    )
    return replace(pixels, table=tuple(range(outputs))), moved, operand
