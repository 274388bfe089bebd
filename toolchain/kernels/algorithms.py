"""The algorithms that a convolution may be computed by, all with the same bits; which one, its tile says.

"direct" sums up all products (`toolchain.kernels.conv`), of any convolution. "bytes" does so by instructions that add
two products in 16 bits (`Dot.bytes`), where no weights exceed them. "winograd4x4" needs a quarter of the products
(`toolchain.kernels.winograd`), where it is admitted.
"""

from __future__ import annotations

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from toolchain.kernels import conv as direct
from toolchain.kernels import winograd
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, Geometry
from toolchain.kernels.network import Needs
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.schedule import schedule_conv
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import BYTES, WINOGRAD, Tile

Shapes = tuple[tuple[tuple[int, ...], str], ...]
"""Shape and element type of arrays."""

_CODE, _INT16 = 255, 2**15 - 1
"""The largest byte of a code, and the largest number of 16 bits."""


def admitted(conv: Conv, dot: Dot, parameters: Parameters) -> tuple[str, ...]:
    """Return the algorithms beyond the direct one that give the bits of ``conv``, with these weights, whatever its
    input.
    """
    exact = winograd.exact(parameters.largest(conv.source.qmax), parameters.multiplier)
    found = {
        BYTES: dot.bytes is not None and parameters.largest_pair(_CODE) <= _INT16,
        WINOGRAD: winograd.possible(conv, dot) and exact,
    }
    return tuple(name for name, possible in found.items() if possible)


def refused(conv: Conv, dot: Dot) -> str:
    """Return why ``conv`` is not computed by a faster algorithm, where its weights alone are the reason; else
    nothing.
    """
    if winograd.possible(conv, dot) and WINOGRAD not in conv.algorithms:
        return "sums too large for Winograd"
    if dot.bytes is not None and not conv.algorithms:
        return "weights too large for pairs of bytes"
    return ""


def build(conv: Conv, geometry: Geometry, dot: Dot, tile: Tile) -> tirx.PrimFunc:
    """Return the function of ``conv`` by the algorithm of ``tile``, before `schedule`.

    Its arguments: the packed input, from the first row that the first output row needs on (and the packed residual),
    what `arrays` makes, the rows to compute, the number of column tiles, the true width, the output.
    """
    if tile.algorithm == WINOGRAD:
        return winograd.build(conv, geometry, dot, tile)
    return direct.build(conv, geometry, _direct(dot, tile))


def schedule(sch: Schedule, conv: Conv, tile: Tile, dot: Dot, *, function: str = "main") -> None:
    """Apply ``tile``, which must fit, to the function that `build` made for it."""
    if tile.algorithm != WINOGRAD:  # of which every loop is written as it runs
        schedule_conv(sch, conv, tile, _direct(dot, tile), function=function)


def shapes(conv: Conv, dot: Dot, tile: Tile) -> Shapes:
    """Return the shape and element type of each of the kernel's arrays, in the order of its arguments."""
    return winograd.constants(conv, tile) if tile.algorithm == WINOGRAD else direct.constants(conv, _direct(dot, tile))


def arrays(parameters: Parameters, conv: Conv, dot: Dot, tile: Tile) -> list[np.ndarray]:
    """Return a kernel's arrays, in the order of its arguments."""
    low = conv.low_inputs * PACK
    start = dot.folded(parameters.bias, parameters.weights, parameters.zero_point, wide=conv.source.wide, low=low)
    if tile.algorithm == WINOGRAD:
        return winograd.arrays(parameters, start, tile)
    return [_direct(dot, tile).stored(parameters.weights), start, parameters.multiplier, *parameters.rest]


def needs(conv: Conv, dot: Dot, tile: Tile) -> Needs:
    """Return what the kernel wants of those who call it."""
    return Needs(winograd.ROWS, winograd.workspace(conv, dot, tile)) if tile.algorithm == WINOGRAD else Needs()


def _direct(dot: Dot, tile: Tile) -> Dot:
    """Return the dot product that ``tile`` sums up words with."""
    if tile.algorithm == BYTES:
        assert dot.bytes is not None  # or the tile would not fit
        return dot.bytes
    return dot
