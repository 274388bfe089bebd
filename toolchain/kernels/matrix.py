"""Sums by instructions that multiply matrices: two pixels x eight codes with two channels x eight weights.

Eight codes of a pixel are two words. In kernels of several taps these are the words of two taps that follow each
other, mostly neighbours of a row. Then two loads, one word apart, are all it takes: of the words 0, 1, 2, 3 and 1, 2,
3, 4, the first holds both words of pixels 0 and 2, the second those of pixels 1 and 3. So the sums of four pixels and
two channels are two registers, of the even pixels and of the odd ones; the words of taps in different rows are brought
into that order (``trn1``, ``trn2``), and so are, in the end, the sums. Kernels of one tap take two blocks of channels.

What is missing at the end, the tenth tap of nine, has zero weights; what it is multiplied with does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.s_tir import Schedule
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import first_input, phase, tap
from toolchain.kernels.intrinsics.matrix import MatrixDot
from toolchain.kernels.layout import SIDE
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile

_EVEN, _ODD = (0, 4, 2, 6), (1, 5, 3, 7)
"""What ``trn1`` and ``trn2`` take of two vectors of four."""

_HALVES = (0, 4)
"""Where the sums of even pixels and of odd ones begin, among the eight of a vector and two channels."""


def matrix_sums(
    conv: Conv, dot: MatrixDot, x: Any, w: Any, bias: Any, height: Any, vectors: Any
) -> Callable[..., list[Any]]:
    """Write block ``acc``, and ``high`` before it where codes have 16 bits.

    Args:
        conv: what is computed.
        dot: the instruction.
        x: the kernel's input, uint32 (rows, blocks, columns).
        w: its weights, int8 (channels / 2, steps of `MatrixDot.steps`..., 16).
        bias: its start values, int32 (channels,).
        height: rows of the result.
        vectors: of four pixels, in a row of the result.

    Returns:
        what loads the sums of vector u of pixels in row h, for the channels of block b: one vector for each channel.
    """
    sums = _Sums(conv, dot, x, w, bias, height, vectors)
    if conv.source.wide:
        high = sums.block("high", conv.source.start, conv.inputs, lambda h, c, u, half: _all(0))
        acc = sums.block(
            "acc",
            conv.source.low,
            conv.low_inputs,
            lambda h, c, u, half: high.vload([h, c, u, half], "int32x4") * _all(256) + sums.biases(c),
            high,
        )
    else:
        acc = sums.block("acc", conv.source.start, conv.inputs, lambda h, c, u, half: sums.biases(c))

    def of(h: Any, b: Any, u: Any) -> list[Any]:
        T.reads(acc[h, 2 * b : 2 * b + 2, u, 0:8])
        found = []
        for c in (2 * b, 2 * b + 1):
            even, odd = (acc.vload([h, c, u, half], "int32x4") for half in _HALVES)
            found += [_mixed(even, odd, _EVEN), _mixed(even, odd, _ODD)]
        return found

    return of


@dataclass(frozen=True, eq=False)
class _Sums:
    """The arguments of `matrix_sums`, and the blocks it is made of."""

    conv: Conv
    dot: MatrixDot
    x: Any
    w: Any
    bias: Any
    height: Any
    vectors: Any

    def block(self, name: str, first: int, group_in: int, begin: Callable[..., Any], *before: Any) -> Any:
        """Write a block of sums over the bytes of some blocks, from block ``first`` on; returns its buffer.

        Of two channels and the four pixels of a vector it holds eight sums: pixels 0 and 2, each with both channels,
        then 1 and 3.

        Args:
            name: of the block.
            first: block of the input.
            group_in: blocks of a group: all, or as many as there are low bytes of.
            begin: the value with which four sums begin, of row, pair of channels, vector, and place among the eight.
            before: buffers that ``begin`` reads.
        """
        conv, dot, x = self.conv, self.dot, self.x
        pairs, steps = conv.channels // 2, dot.steps(group_in, conv.kernel)
        acc = T.sblock_alloc_buffer((self.height, pairs, self.vectors, 8), "int32", scope="local")
        with T.grid(self.height, pairs, self.vectors, 1, *steps) as loops, T.sblock(name):
            # compute_at wants a variable in every region that is written: `one` is always 0.
            h, c, u, one, k, i, j = T.axis.remap("SSSSRRR", loops)
            start = first + first_input(conv, 2 * c)
            column = u * dot.lanes + (SIDE - conv.above[1])
            T.reads(
                x[
                    h : h + conv.reach[0] + 1,
                    start : start + group_in * conv.phases,
                    column : column + (conv.reach[1] + dot.lanes + 1),
                ],
                self.w[c, k, i, j, 0:16],
                self.bias[2 * c : 2 * c + 2],
                *(sums[h, c, u, one * 8 : one * 8 + 8] for sums in before),
            )
            T.writes(acc[h, c, u, one * 8 : one * 8 + 8])
            with T.init():
                for half in _HALVES:
                    T.buffer_store(acc, begin(h, c, u, one * 8 + half), [h, c, u, tirx.Ramp(one * 8 + half, 1, 4)])

            def load(at: Any, i: Any, j: Any) -> Any:
                row, place = tap(conv, h, u * dot.lanes, i, j)
                return x.vload([row, start + at * conv.phases + phase(conv, i, j), place], "uint32x4")

            codes = _blocks(load, k, group_in) if conv.kernel == (1, 1) else _taps(load, k, j, conv)
            weights = self.w.vload([c, k, i, j, 0], "int8x16")
            for half, words in zip(_HALVES, codes, strict=True):
                sums = acc.vload([h, c, u, one * 8 + half], "int32x4")
                multiplied = dot.multiply(sums, tirx.reinterpret("int8x16", words), weights)
                T.buffer_store(acc, multiplied, [h, c, u, tirx.Ramp(one * 8 + half, 1, 4)])
        return acc

    def biases(self, c: Any) -> Any:
        """Return the start values of a pair of channels, for two pixels."""
        pair = tirx.reinterpret("int64", self.bias.vload([2 * c], "int32x2"))
        return tirx.reinterpret("int32x4", tirx.Broadcast(pair, 2))


def schedule_matrix_sums(sch: Schedule, acc: Any, tile: Tile) -> None:
    """Schedule the block ``acc``, which has been moved to where its sums are used, by ``tile``."""
    channel, vector, one, k, i, j = sch.get_loops(acc)[-6:]
    sums = (i, j, k) if tile.reduce == "taps" else (k, i, j)
    sch.reorder(*sums, channel, vector, one)
    for loop in (channel, vector, j):  # which taps are neighbours must be known
        sch.unroll(loop)
    if tile.unroll and tile.reduce == "taps":
        sch.unroll(k)
    init = sch.decompose_reduction(acc, sums[0])
    for loop in sch.get_loops(init)[-3:-1]:
        sch.unroll(loop)


def _blocks(load: Any, k: Any, blocks: int) -> tuple[Any, Any]:
    """Return the words of blocks 2*k and 2*k + 1, of the even pixels and of the odd ones."""
    words = load(2 * k, 0, 0), load(tirx.min(2 * k + 1, blocks - 1), 0, 0)
    return _mixed(*words, _EVEN), _mixed(*words, _ODD)


def _taps(load: Any, k: Any, j: Any, conv: Conv) -> tuple[Any, Any]:
    """Return the words of taps 2*j and 2*j + 1, counted row by row, of the even pixels and of the odd ones."""
    taps, width = conv.kernel[0] * conv.kernel[1], conv.kernel[1]
    row, tap = 2 * j // width, 2 * j % width
    first = load(k, row, tap)
    if conv.dilation[1] > 1 or conv.phases > 1:
        following = tirx.min(2 * j + 1, taps - 1)
        second = load(k, following // width, following % width)
        return _mixed(first, second, _EVEN), _mixed(first, second, _ODD)
    beside, below = load(k, row, tap + 1), load(k, row + 1, 0)
    neighbours = tirx.any(tap + 1 < width, 2 * j + 1 == taps)
    return (
        tirx.if_then_else(neighbours, first, _mixed(first, below, _EVEN)),
        tirx.if_then_else(neighbours, beside, _mixed(first, below, _ODD)),
    )


def _mixed(first: Any, second: Any, order: tuple[int, ...]) -> Any:
    return tirx.Shuffle([first, second], [tirx.const(index, "int32") for index in order])


def _all(value: int) -> Any:
    return tirx.Broadcast(tirx.const(value, "int32"), 4)
