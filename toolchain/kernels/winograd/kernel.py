"""The convolution by F(4x4,3x3), as one TensorIR function whose loops are all written as they run.

It computes a strip of 4 rows and ``vectors * 4 * lanes`` columns at a time. Lanes are tiles of 4x4 outputs: four
vectors of neighbouring words are transposed to one of the tiles' first columns, one of their second columns, and so on,
and back in the end. The strip's words become V, 36 vectors of 16-bit numbers for every two channels. V times the
transformed weights of some output channels gives sums M, 36 for every tile; these become 16 outputs a tile, and words.

A strip that does not fit into what is left of a row overlaps the one before, whose words it writes once more. Of tiles
that reach below the last row, inputs are read from that row, and outputs are left out. So all sizes from one pixel on
run the same way.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import Arguments, arguments
from toolchain.kernels.drawing import draw
from toolchain.kernels.epilogue import activate, bordered, flipped, pack_words, residual_code, within
from toolchain.kernels.function import function, int64
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.kernels.winograd import transforms
from toolchain.kernels.winograd.lanes import transposed
from toolchain.kernels.winograd.transforms import POINTS
from toolchain.kernels.winograd.transforms import SIDE as TILE
from toolchain.kernels.winograd.weights import constants, pairs

_LINE = 64
"""Bytes of a cache line."""


def build(conv: Conv, geometry: Geometry, dot: Dot, tile: Tile) -> tirx.PrimFunc:
    """Return the function of ``conv`` by ``tile``; nothing is left to schedule."""
    with IRBuilder() as builder, function("conv"):
        given = arguments(conv, geometry, constants(conv, tile))
        with T.sblock("root"):
            T.reads()
            T.writes()
            _Strips(conv, geometry, dot, tile, given).write()
    return builder.get()


def workspace(conv: Conv, dot: Dot, tile: Tile) -> int:
    """Return bytes that a call takes for V, M, and what is between them and the words."""
    return 4 * sum(_sizes(conv, dot, tile).values())


def _sizes(conv: Conv, dot: Dot, tile: Tile) -> dict[str, int]:
    """Return the buffers of a kernel, in numbers of 32 bits.

    "transformed" is V, by position, pair of channels, vector; "sums" M, by channel, position, vector. "rows" are a
    vector of a block transformed along rows: by row, half, column; "columns" are four channels of M transformed along
    columns: by channel, row, column; "words" a strip of what becomes pixels.
    """
    lanes = dot.lanes
    words = {} if conv.pixels is None else {"words": TILE * conv.channels // PACK * tile.vectors * TILE * lanes}
    return {
        "transformed": POINTS**2 * _stride(conv, dot, tile),
        "sums": tile.channels * POINTS**2 * tile.vectors * lanes,
        "rows": 2 * POINTS**2 * lanes,
        "columns": PACK * TILE * POINTS * lanes,
        **words,
    }


def _stride(conv: Conv, dot: Dot, tile: Tile) -> int:
    """Numbers of 32 bits from a position of V to the next: an odd number of cache lines, or the stores of a transform
    would fall on few sets of the cache.
    """
    lines = -(-pairs(conv) * tile.vectors * dot.lanes * 4 // _LINE)
    return (lines | 1) * _LINE // 4


class _Strips:
    """Writes the statements of a kernel, given its arguments."""

    def __init__(self, conv: Conv, geometry: Geometry, dot: Dot, tile: Tile, given: Arguments) -> None:
        assert dot.pairs is not None
        self.conv, self.geometry, self.tile, self.given = conv, geometry, tile, given
        self.pairs, self.pack = dot.pairs, dot.pack
        self.lanes, self.across = dot.lanes, TILE * dot.lanes
        self.words, self.halves = f"uint32x{dot.lanes}", f"int16x{2 * dot.lanes}"
        self.stride, self.blocks = _stride(conv, dot, tile), conv.inputs
        self.buffers = {
            name: T.sblock_alloc_buffer((size,), "uint32") for name, size in _sizes(conv, dot, tile).items()
        }
        self.accumulators = T.sblock_alloc_buffer((tile.channels, tile.vectors, self.lanes), "uint32", scope="local")
        self.operands = T.sblock_alloc_buffer((tile.vectors, self.lanes), "uint32", scope="local")

    def write(self) -> None:
        """Write the loops over strips, groups, and tiles of output channels."""
        conv, tile, given = self.conv, self.tile, self.given
        vectors = given.tiles * (self.geometry.columns // self.across)
        outputs = conv.channels // conv.groups // tile.channels
        with T.serial(0, _parts(given.height, TILE)) as r, T.serial(0, _parts(vectors, tile.vectors)) as s:
            top = T.bind(r * TILE)

            def column(n: Any) -> Any:
                """Return the first column of vector n."""
                return T.bind(tirx.min(s * tile.vectors + n, vectors - 1) * self.across)

            with T.serial(0, conv.groups) as group:
                with T.serial(0, self.blocks) as b, T.serial(0, tile.vectors) as n:
                    self._transform(top, column(n), group * self.blocks + b, b, n)
                with T.serial(0, outputs) as o:
                    self._sum(group * outputs + o)
                    with T.serial(0, tile.channels // PACK) as q, T.serial(0, tile.vectors) as n:
                        self._finish(top, column(n), (group * outputs + o) * (tile.channels // PACK) + q, q, n)
            if conv.pixels is not None:
                with T.serial(0, tile.vectors) as n:
                    self._draw(top, column(n), n)

    def _transform(self, top: Any, column: Any, block: Any, b: Any, n: Any) -> None:
        """Words of a ``block``, the b-th of its group, from row ``top`` and ``column`` on, to vector n of V."""
        x, lanes, source = self.given.x, self.lanes, self.conv.source
        start, last = column + (SIDE - self.conv.pads[1]), self.given.height + (self.conv.reach[0] - 1)
        with T.serial(0, POINTS) as i:
            row = T.bind(tirx.min(top + i, last))
            near, far = (
                [
                    T.bind(x.vload([row, source.start + block, start + (shift + lanes * k)], self.words))
                    for k in range(TILE)
                ]
                for shift in (0, TILE)
            )
            columns = [*transposed(near, lanes), *transposed(far, lanes)[: POINTS - TILE]]
            for half in range(2):
                split = [T.bind(self._pair(words, half)) for words in columns]
                for j, value in enumerate(transforms.inputs(split)):
                    self._put("rows", ((i * 2 + half) * POINTS + j) * lanes, value)
        with T.serial(0, 2) as half, T.serial(0, POINTS) as j:
            rows = [
                T.bind(self._as_halves(self._get("rows", ((i * 2 + half) * POINTS + j) * lanes))) for i in range(POINTS)
            ]
            for i, value in enumerate(transforms.inputs(rows)):
                pair = (b * 2 + half) * self.tile.vectors + n
                place = (i * POINTS + j) * self.stride + pair * lanes
                self._put("transformed", place, self.pairs.arranged(T.bind(value)))

    def _pair(self, words: Any, half: int) -> Any:
        """Channels 0 and 2 of words, or 1 and 3, as pairs of 16-bit numbers: bytes as they are stored."""
        if not self.geometry.offset:
            return self._as_halves((words >> self._word(8) if half else words) & self._word(0x00FF00FF))
        eight = tirx.Broadcast(tirx.const(8, "int16"), 2 * self.lanes)
        halves = self._as_halves(words)
        return (halves if half else T.bind(halves << eight)) >> eight

    def _sum(self, o: Any) -> None:
        """M for the o-th tile of output channels. The loop over pairs must stay one: unrolled, it would spill.

        Every second tile goes through the positions backwards: the nearest cache may not hold all of V, but what was
        read last it does.
        """
        tile, lanes, weights = self.tile, self.lanes, self.given.constants[0]
        everything = [(g, n) for g in range(tile.channels) for n in range(tile.vectors)]
        with T.serial(0, int64(POINTS**2)) as step:
            p = T.bind(tirx.Select(tirx.floormod(o, 2) == 0, step, POINTS**2 - 1 - step))
            for g, n in everything:
                T.buffer_store(self.accumulators, self._word(0), [g, n, tirx.Ramp(0, 1, lanes)])
            with T.serial(0, 2 * self.blocks) as k:
                for n in range(tile.vectors):
                    place = p * self.stride + (k * tile.vectors + n) * lanes
                    T.buffer_store(self.operands, self._get("transformed", place), [n, tirx.Ramp(0, 1, lanes)])
                for g, factors in enumerate(self._factors(weights, o, p, k)):
                    for n in range(tile.vectors):
                        total = self.pairs.multiply_add(
                            self.accumulators.vload([g, n, 0], self.words),
                            self._as_halves(self.operands.vload([n, 0], self.words)),
                            factors,
                        )
                        T.buffer_store(self.accumulators, total, [g, n, tirx.Ramp(0, 1, lanes)])
            for g, n in everything:
                self._put(
                    "sums",
                    ((g * POINTS**2 + p) * tile.vectors + n) * lanes,
                    self.accumulators.vload([g, n, 0], self.words),
                )

    def _factors(self, weights: Any, o: Any, p: Any, k: Any) -> Iterator[Any]:
        """Yield the weights of every channel of the o-th tile for the k-th pair of inputs at position p."""
        for g in range(self.tile.channels):
            if not self.pairs.by_element:
                yield self._as_halves(tirx.Broadcast(weights[o, p, k, g], self.lanes))
                continue
            if g % PACK == 0:
                four = T.bind(tirx.reinterpret("int16x8", weights.vload([o, p, k, g], "int32x4")))
            yield four, g % PACK

    def _finish(self, top: Any, column: Any, block: Any, q: Any, n: Any) -> None:
        """Channels 4q to 4q + 3 and vector n of M to words of output block ``block``, from ``column`` on."""
        lanes, vectors, bias = self.lanes, self.tile.vectors, self.given.constants[1]
        with T.serial(0, PACK) as c:
            start = T.bind(tirx.Broadcast(bias[block * PACK + c], lanes))
            for j in range(POINTS):
                place = ((q * PACK + c) * POINTS**2 + j) * vectors + n
                sums = [T.bind(self._get("sums", (place + i * POINTS * vectors) * lanes)) for i in range(POINTS)]
                if j == 1:
                    sums[1] = T.bind(sums[1] + start)  # this one goes into each of the 16 outputs once
                for i, value in enumerate(transforms.outputs(sums)):
                    self._put("columns", ((c * TILE + i) * POINTS + j) * lanes, value)
        with T.serial(0, tirx.min(int64(TILE), self.given.height - top)) as i:
            row = T.bind(top + i)
            planes = zip(*self._requantized(i, row, column, block), strict=True)
            for plane, words in enumerate(planes):
                for k, value in enumerate(transposed(words, lanes)):
                    if self.conv.pixels is None:
                        self._store(value, plane, row, block, column + k * lanes)
                    else:
                        place = ((i * (self.conv.channels // PACK) + block) * vectors + n) * self.across + k * lanes
                        self._put("words", place, value)

    def _requantized(self, i: Any, row: Any, column: Any, block: Any) -> list[tuple[Any, ...]]:
        """For each of a tile's four columns, words of each plane of the i-th row of the strip."""
        conv, (_, _, multiplier, *slopes) = self.conv, self.given.constants
        requantize = conv.requantize
        loaded: dict[str, list[Any]] = {}

        def residual(j: int, place: Any) -> Any:
            """Return the residual's words of the tiles' j-th columns, loaded once where channels share them."""
            if str(place) not in loaded:
                loaded[str(place)] = self._residual(row, column, place)
            return loaded[str(place)][j]

        packed: dict[int, tuple[Any, ...]] = {}
        for pair in ((0, 2), (1, 3)):  # which share most of their sums; all four at once would not fit into registers
            values: dict[int, list[Any]] = {j: [] for j in pair}
            for c in range(PACK):
                channel, other = block * PACK + c, None
                sums = [T.bind(self._get("columns", ((c * TILE + i) * POINTS + j) * self.lanes)) for j in range(POINTS)]
                outputs = transforms.outputs(sums)
                for j in pair:
                    if requantize.residual is not None:
                        read = functools.partial(residual, j)
                        other = residual_code(read, requantize.residual, conv.channels // PACK, block, c)
                    slope = slopes[0][channel] if slopes else None
                    result = tirx.reinterpret(f"int32x{self.lanes}", outputs[j] * self._word(transforms.INVERSE))
                    values[j].append(T.bind(activate(T.bind(result), multiplier[channel], slope, other, requantize)))
            for j in pair:
                packed[j] = tuple(map(T.bind, pack_words(values[j], requantize, conv.target, self.pack)))
        return [packed[j] for j in range(TILE)]

    def _residual(self, row: Any, column: Any, block: Any) -> list[Any]:
        """Return the residual's words of a block, for each of the tiles' four columns."""
        found = [
            T.bind(self.given.residual.vload([row, block, column + (SIDE + self.lanes * k)], self.words))
            for k in range(TILE)
        ]
        return [flipped(words, self.geometry.offset) for words in transposed(found, self.lanes)]

    def _store(self, words: Any, plane: int, row: Any, block: Any, column: Any) -> None:
        """Words of an output block to memory; zero points where they lie beyond the picture's width."""
        start, zero = self.conv.target.planes(self.conv.requantize.zero_point)[plane]
        kept = bordered(words, zero, within(column, self.given.width, self.lanes), self.geometry.offset)
        T.buffer_store(self.given.y, kept, [row, block + start, tirx.Ramp(column + SIDE, 1, self.lanes)])

    def _draw(self, top: Any, column: Any, n: Any) -> None:
        """Pixels from vector n of the strip's words."""
        conv, given, pixels = self.conv, self.given, self.conv.pixels
        assert pixels is not None
        blocks = conv.channels // PACK
        with T.serial(0, tirx.min(int64(TILE), given.height - top)) as i:

            def read(block: int, v: Any, count: int) -> Any:
                place = ((i * blocks + block) * self.tile.vectors + n) * self.across + v
                words = self.buffers["words"]
                return words[place] if count == 1 else words.vload([place], f"uint32x{count}")

            draw(given.y, pixels, read, top + i, column, tirx.min(int64(self.across), given.width - column), self.lanes)

    def _get(self, buffer: str, place: Any) -> Any:
        return self.buffers[buffer].vload([place], self.words)

    def _put(self, buffer: str, place: Any, value: Any) -> None:
        T.buffer_store(self.buffers[buffer], tirx.reinterpret(self.words, value), [tirx.Ramp(place, 1, self.lanes)])

    def _as_halves(self, words: Any) -> Any:
        return tirx.reinterpret(self.halves, words)

    def _word(self, value: int) -> Any:
        return tirx.Broadcast(tirx.const(value, "uint32"), self.lanes)


def _parts(size: Any, part: int) -> Any:
    """How many parts cover ``size``."""
    return tirx.floordiv(size + (part - 1), int64(part))
