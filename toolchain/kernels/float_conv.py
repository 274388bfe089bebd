"""The float convolution template: one TensorIR function per convolution, its loops written out.

As the integer kernels (`toolchain.kernels.conv`), a kernel works on windows of rows and is run by
`toolchain.kernels.driver`. Arguments, in this order: the packed input (and the packed residual), the weights
``(channels_in / groups, kh, kw, channels)``, the bias ``(channels,)`` (and the slopes before, and after, the residual),
the rows to compute, the number of column tiles, the true width, the output. Packed tensors are laid out as
`toolchain.kernels.layout` says, one channel a block, with zeros around the picture.

For every column tile and every few output channels, the sums of ``tile.vectors * tile.channels`` vectors of pixels stay
in the registers over all taps and input channels; what follows the convolution is applied to them there. An output
pixel's sum is in the same order wherever it lies, so that pieces of a picture give the bits of the whole.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import Arguments, arguments, first_input, phase, tap
from toolchain.kernels.float_expressions import code, constants_of, followed, inside, load, ramp
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.float_tile import FloatTile
from toolchain.kernels.function import function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import DepthToSpace
from toolchain.kernels.vectors import Vectors


def declared(conv: FloatConv, geometry: Geometry, vectors: Vectors, weights: tuple[int, ...]) -> Arguments:
    """Declare the arguments of the function that is being written; ``weights``: the shape of those."""
    further = constants_of(conv.stages)
    shapes = weights, *[(conv.channels,)] * (1 + further)
    names = "w", "bias", *(f"slope{index}" for index in range(further))
    arrays = [(shape, vectors.dtype) for shape in shapes]
    return arguments(conv, geometry, arrays, names, dtype=vectors.dtype, rows="rows")


def build(conv: FloatConv, geometry: Geometry, vectors: Vectors, tile: FloatTile) -> tirx.PrimFunc:
    """Return the function of ``conv``, with ``tile`` in the registers."""
    strip = tile.vectors * vectors.lanes
    group_in, group = conv.inputs, conv.channels // conv.groups
    registers = list(itertools.product(range(tile.channels), range(0, strip, vectors.lanes)))
    with IRBuilder() as builder, function("float_conv"):
        given = declared(conv, geometry, vectors, (group_in, *conv.kernel, conv.channels))
        x, (w, bias, *constants) = given.x, given.constants
        y, rows, tiles, width = given.y, given.height, given.tiles, given.width
        with T.grid(rows, tiles * (geometry.columns // strip)) as (h, u):
            left = T.bind(u * strip)
            codes = T.alloc_buffer((conv.channels, strip), "uint8", scope="local") if conv.pixels else None
            with T.grid(conv.groups, tile.blocks(group)) as (number, block):
                first = T.bind(number * group + tile.first(group, block))
                acc = T.alloc_buffer((tile.channels, strip), vectors.dtype, scope="local")
                for c, v in registers:
                    T.buffer_store(acc, tirx.Broadcast(bias[first + c], vectors.lanes), [c, ramp(v, vectors.lanes)])
                with T.grid(group_in, *conv.kernel) as (k, i, j):
                    row, column = tap(conv, h, left, i, j)
                    channel = conv.source.start + (first_input(conv, first) + k * conv.phases) + phase(conv, i, j)
                    for c, v in registers:
                        product = x.vload([row, channel, column + v], vectors.type) * tirx.Broadcast(
                            w[k, i, j, first + c], vectors.lanes
                        )
                        T.buffer_store(acc, acc.vload([c, v], vectors.type) + product, [c, ramp(v, vectors.lanes)])
                for c, v in registers:
                    value = T.bind(acc.vload([c, v], vectors.type))
                    read = functools.partial(other, conv, given, (h, first + c, left + v), vectors)
                    value = followed(value, conv.stages, [array[first + c] for array in constants], read)
                    if conv.pixels is None:
                        T.buffer_store(
                            y,
                            inside(value, left + v, width, vectors),
                            [h, conv.target.start + first + c, ramp(left + v + SIDE, vectors.lanes)],
                        )
                    else:
                        T.buffer_store(codes, code(value, conv.gain), [first + c, ramp(v, vectors.lanes)])
            if conv.pixels is not None:
                store_pixels(conv.pixels, codes, y, h, left, tirx.min(tirx.const(strip, "int64"), width - left))
    return builder.get()


def store_pixels(pixels: DepthToSpace, codes: Any, y: Any, h: Any, left: Any, count: Any, first: Any = 0) -> None:
    """Depth-to-space of ``count`` pixels' codes ``(channels, strip)`` from the ``first`` on, those from column ``left``
    of row h on.
    """
    scale = pixels.scale
    with T.serial(0, count) as v:
        for dy, dx, channel, slot in pixels.places():
            T.buffer_store(y, codes[slot, first + v], [h * scale + dy, (left + v) * scale + dx, channel])


def other(conv: FloatConv, given: Arguments, place: tuple[Any, Any, Any], vectors: Vectors, index: int) -> Any:
    """Return the vector of one of the tensors that stages read; ``place``: row, output channel and column."""
    return load(given.others[index], conv.others[index], *place, vectors)
