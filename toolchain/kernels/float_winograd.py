"""The float 3x3 convolution by Winograd's F(4,3) along rows: four neighbouring outputs by 6 products a row of taps
instead of 12.

Down the columns it stays direct: rows are cut among threads and bands, and an output's bits must not depend on where.
Along a row, tiles of four columns begin where the picture does, whatever the strip.

A strip is ``tile.vectors`` times four vectors of pixels. As in `toolchain.kernels.winograd.kernel`, lanes are tiles:
four vectors of neighbouring pixels are transposed to one of the tiles' first columns, one of their second columns, and
so on. Each row of the input is transformed once, to 6 vectors a channel, and the last three rows are kept.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import Arguments
from toolchain.kernels.float_conv import declared, other, store_pixels
from toolchain.kernels.float_expressions import code, followed, inside
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.float_tile import FloatTile
from toolchain.kernels.function import function, int64
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.vectors import Vectors
from toolchain.kernels.winograd.lanes import transposed

TAPS, OUTPUTS, POINTS = 3, 4, 6
"""Of a row: weights, outputs computed together, and inputs that they need."""

FURTHER = 3
"""Columns beyond those that an output depends on which its rounding depends on."""

_WEIGHTS = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))
"""The points 0, 1, -1, 2, -2 and infinity (Lavin and Gray, CVPR 2016), times 24."""

_LINE = 64
"""Bytes of a cache line."""


def weights(given: npt.NDArray[np.floating[Any]], groups: int, tile: FloatTile) -> npt.NDArray[np.floating[Any]]:
    """Return weights (channels in / groups, 3, 3, channels) as the kernel takes them: (blocks of all groups, 6, 3,
    channels in / groups, tile.channels).
    """
    inputs, rows, _, channels = given.shape
    whole = np.einsum("pj,kijo->opik", np.array(_WEIGHTS) / 24, given.astype(np.float64))
    group = channels // groups
    firsts = [
        number * group + tile.first(group, block) for number in range(groups) for block in range(tile.blocks(group))
    ]
    taken = np.array([range(first, first + tile.channels) for first in firsts]).reshape(-1)
    split = whole[taken].reshape(len(firsts), tile.channels, POINTS, rows, inputs).transpose(0, 2, 3, 4, 1)
    return np.ascontiguousarray(split, given.dtype)


def build(conv: FloatConv, geometry: Geometry, vectors: Vectors, tile: FloatTile) -> tirx.PrimFunc:
    """Return the function of ``conv``, with the arguments of `toolchain.kernels.float_conv`, but for the form of
    weights.
    """
    shape = conv.groups * tile.blocks(conv.channels // conv.groups), POINTS, TAPS, conv.inputs, tile.channels
    with IRBuilder() as builder, function("float_conv"):
        given = declared(conv, geometry, vectors, shape)
        _Strips(conv, geometry, vectors, tile, given).write()
    return builder.get()


def workspace(conv: FloatConv, vectors: Vectors, tile: FloatTile) -> int:
    """Return bytes that a call takes for itself."""
    codes = conv.channels * tile.vectors * OUTPUTS * vectors.lanes if conv.pixels else 0
    return sum(_sizes(conv, vectors, tile)) * np.dtype(vectors.dtype).itemsize + codes


def _sizes(conv: FloatConv, vectors: Vectors, tile: FloatTile) -> tuple[int, int]:
    """Numbers of V, by row, position, channel and vector, and of M, by position, channel and vector."""
    return TAPS * POINTS * _stride(conv, vectors, tile), POINTS * tile.channels * tile.vectors * vectors.lanes


def _stride(conv: FloatConv, vectors: Vectors, tile: FloatTile) -> int:
    """Numbers from a position of V to the next: an odd number of cache lines, as the stores of a transform go there."""
    size = np.dtype(vectors.dtype).itemsize
    lines = -(-conv.source.count * tile.vectors * vectors.lanes * size // _LINE)
    return (lines | 1) * _LINE // size


class _Strips:
    """Writes the statements of a kernel, given its arguments."""

    def __init__(
        self, conv: FloatConv, geometry: Geometry, vectors: Vectors, tile: FloatTile, given: Arguments
    ) -> None:
        self.conv, self.vectors, self.tile, self.given = conv, vectors, tile, given
        self.lanes, self.across = vectors.lanes, OUTPUTS * vectors.lanes
        self.count = given.tiles * (geometry.columns // self.across)
        self.inputs, self.stride = conv.inputs, _stride(conv, vectors, tile)
        self.transformed, self.sums = (T.alloc_buffer((size,), vectors.dtype) for size in _sizes(conv, vectors, tile))
        self.codes = None
        if conv.pixels is not None:
            self.codes = T.alloc_buffer((conv.channels, tile.vectors * self.across), "uint8")

    def write(self) -> None:
        """Write the loops over strips and rows."""
        conv, tile, rows = self.conv, self.tile, self.given.height
        size = conv.channels // conv.groups
        blocks = tile.blocks(size)
        with T.serial(0, tirx.floordiv(self.count + (tile.vectors - 1), int64(tile.vectors))) as s:
            with T.serial(0, int64(TAPS - 1)) as row:
                self._transform(s, row, row)
            with T.serial(0, rows) as h:
                self._transform(s, h + (TAPS - 1), tirx.floormod(h + (TAPS - 1), int64(TAPS)))
                with T.serial(0, conv.groups) as group, T.serial(0, blocks) as o:
                    self._sum(h, group, group * blocks + o)
                    first = T.bind(group * size + tile.first(size, o))
                    with T.serial(0, tile.channels) as c, T.serial(0, tile.vectors) as n:
                        self._finish(s, h, first + c, c, n)
                if conv.pixels is not None:
                    with T.serial(0, tile.vectors) as n:
                        left = self._column(s, n)
                        width = tirx.min(int64(self.across), self.given.width - left)
                        store_pixels(conv.pixels, self.codes, self.given.y, h, left, width, n * self.across)

    def _column(self, s: Any, n: Any) -> Any:
        """Return the first column of the n-th vector of strip s; what does not fit into the row is done twice."""
        return T.bind(tirx.min(s * self.tile.vectors + n, self.count - 1) * self.across)

    def _transform(self, s: Any, row: Any, slot: Any) -> None:
        """Transform a row of the input into V."""
        conv, lanes = self.conv, self.lanes
        with T.serial(0, conv.source.count) as k, T.serial(0, self.tile.vectors) as n:
            start = self._column(s, n) + (SIDE - conv.pads[1])
            near, far = (
                [
                    T.bind(
                        self.given.x.vload([row, conv.source.start + k, start + (shift + lanes * q)], self.vectors.type)
                    )
                    for q in range(OUTPUTS)
                ]
                for shift in (0, OUTPUTS)
            )
            d = [*transposed(near, lanes), *transposed(far, lanes)[: POINTS - OUTPUTS]]
            for position, value in enumerate(_inputs(d, self.vectors)):
                self._put(self.transformed, self._place(slot, position, k, n), value)

    def _place(self, slot: Any, position: Any, k: Any, n: Any) -> Any:
        return (slot * POINTS + position) * self.stride + (k * self.tile.vectors + n) * self.lanes

    def _sum(self, h: Any, group: Any, o: Any) -> None:
        """M for the o-th tile of output channels."""
        tile, weights = self.tile, self.given.constants[0]
        everything = list(itertools.product(range(tile.channels), range(tile.vectors)))
        with T.serial(0, int64(POINTS)) as position:
            acc = T.alloc_buffer((tile.channels, tile.vectors, self.lanes), self.vectors.dtype, scope="local")
            operands = T.alloc_buffer((tile.vectors, self.lanes), self.vectors.dtype, scope="local")
            for c, n in everything:
                T.buffer_store(acc, self.vectors.all(0.0), [c, n, tirx.Ramp(0, 1, self.lanes)])
            with T.serial(0, int64(TAPS)) as i:
                slot = T.bind(tirx.floormod(h + i, int64(TAPS)))
                with T.serial(0, self.inputs) as k:
                    for n in range(tile.vectors):
                        value = self._get(self.transformed, self._place(slot, position, group * self.inputs + k, n))
                        T.buffer_store(operands, value, [n, tirx.Ramp(0, 1, self.lanes)])
                    for c in range(tile.channels):
                        factor = tirx.Broadcast(weights[o, position, i, k, c], self.lanes)
                        for n in range(tile.vectors):
                            product = operands.vload([n, 0], self.vectors.type) * factor
                            total = acc.vload([c, n, 0], self.vectors.type) + product
                            T.buffer_store(acc, total, [c, n, tirx.Ramp(0, 1, self.lanes)])
            for c, n in everything:
                place = ((position * tile.channels + c) * tile.vectors + n) * self.lanes
                self._put(self.sums, place, acc.vload([c, n, 0], self.vectors.type))

    def _finish(self, s: Any, h: Any, channel: Any, c: Any, n: Any) -> None:
        """Write the outputs of a channel, the c-th of its tile, from M."""
        conv, given, tile = self.conv, self.given, self.tile
        _, bias, *constants = given.constants
        left = self._column(s, n)
        m = [
            T.bind(self._get(self.sums, ((position * tile.channels + c) * tile.vectors + n) * self.lanes))
            for position in range(POINTS)
        ]
        m[1] = T.bind(m[1] + tirx.Broadcast(bias[channel], self.lanes))  # this one goes into each output once
        for q, value in enumerate(transposed([T.bind(y) for y in _outputs(m, self.vectors)], self.lanes)):
            column = left + q * self.lanes
            read = functools.partial(other, conv, given, (h, channel, column), self.vectors)
            value = followed(T.bind(value), conv.stages, [array[channel] for array in constants], read)
            if conv.pixels is None:
                value = inside(value, column, given.width, self.vectors)
                place = [h, conv.target.start + channel, tirx.Ramp(column + SIDE, 1, self.lanes)]
                T.buffer_store(given.y, value, place)
            else:
                place = [channel, tirx.Ramp(n * self.across + q * self.lanes, 1, self.lanes)]
                T.buffer_store(self.codes, code(value, conv.gain), place)

    def _get(self, buffer: Any, place: Any) -> Any:
        return buffer.vload([place], self.vectors.type)

    def _put(self, buffer: Any, place: Any, value: Any) -> None:
        T.buffer_store(buffer, value, [tirx.Ramp(place, 1, self.lanes)])


def _inputs(d: Sequence[Any], vectors: Vectors) -> list[Any]:
    """Six inputs, transformed; products and sums are such that they fuse."""
    two, four = vectors.all(2.0), vectors.all(4.0)
    a, b = T.bind(d[4] - d[2] * four), T.bind(d[3] - d[1] * four)
    c, e = T.bind(d[4] - d[2]), T.bind(d[3] - d[1])
    return [(d[0] - d[2]) * four + c, a + b, a - b, c + e * two, c - e * two, (d[5] - d[3]) - e * four]


def _outputs(m: Sequence[Any], vectors: Vectors) -> list[Any]:
    """Six sums of products to four outputs."""
    two, four, eight = (vectors.all(number) for number in (2.0, 4.0, 8.0))
    near, across = T.bind(m[1] + m[2]), T.bind(m[1] - m[2])
    far, beyond = T.bind(m[3] + m[4]), T.bind(m[3] - m[4])
    return [(m[0] + near) + far, across + beyond * two, near + far * four, (across + m[5]) + beyond * eight]
