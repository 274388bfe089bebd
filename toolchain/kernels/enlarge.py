"""Enlargement by a whole factor in integers: every row of a packed tensor becomes several.

A row of sums is made for each row of the result, of as many columns as the input has, and goes on at both ends with
what stands there; then every pixel of it becomes several. Vectors hold neighbouring pixels of the input: what they
become is computed phase by phase and put side by side as words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.frontend.fixed_point import ONE, Phase, phases
from toolchain.kernels.epilogue import PLAIN, activate, extract, flipped, outside_word, pack_words, residual_code
from toolchain.kernels.function import declare, function
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Interpolate


@dataclass(frozen=True)
class Sum:
    """A weighted sum without common powers of two: ``(sum + half) >> shift``, times ``2**doubled``."""

    phases: tuple[Phase, ...]
    shift: int
    doubled: int

    @classmethod
    def of(cls, given: Sequence[Phase], dropped: int) -> Sum:
        """Return the sum of which ``dropped`` bits are rounded off."""
        common = ONE
        for phase in given:
            for weight in phase.weights:
                while weight % common:
                    common //= 2
        bits = common.bit_length() - 1
        reduced = tuple(Phase(p.first, tuple(weight >> bits for weight in p.weights)) for p in given)
        return cls(reduced, max(dropped - bits, 0), max(bits - dropped, 0))


def build(operation: Interpolate, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the function of ``operation`` on windows of rows: input (and residual, and slopes), number of the first
    row, height of the input, rows, tiles, width, output. The input has `surroundings` rows around those computed.
    """
    names = ("first", "whole", "height", "tiles", "width")
    first, whole, height, tiles, width = (tirx.Var(name, "int64") for name in names)
    given = phases(operation.resizing)
    factor, source, target = len(given), operation.source, operation.target
    residual, requantize = operation.requantize.residual, operation.requantize
    down, across = Sum.of(given, operation.dropped), Sum.of(given, 0)
    multiplier = tirx.const(operation.multiplier * 2.0 ** (down.doubled + across.doubled), "float32")
    above, below = surroundings(given)
    wide_tiles = tirx.floordiv(width * factor + (geometry.columns - 1), geometry.columns)
    zero = sum(down.phases[0].weights) * operation.zero_point

    with IRBuilder() as builder, function("enlarge"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, height + (above + below), tiles), "uint32"))
        r = residual and T.arg(
            "r", T.Buffer(geometry.window(residual.view.total, height * factor, wide_tiles), "uint32")
        )
        slope = T.arg("slope", T.Buffer((target.count * PACK,), "float32")) if requantize.slopes else None
        declare(first, whole, height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height * factor, wide_tiles), "uint32"))
        sums = T.alloc_buffer((PACK, tiles * geometry.columns + 2 * SIDE), "int32")

        def row_sums(h: Any, block: Any, phase: Phase, place: Any, lanes: int) -> None:
            """Write the sums of the pixels from column ``place`` on."""
            totals: list[Any] = [None] * PACK
            for tap, weight in enumerate(phase.weights):
                row = first + h + (phase.first + tap)
                inside = tirx.max(tirx.min(row, whole - 1), tirx.const(0, "int64")) - first + above
                words = [
                    T.bind(flipped(_load(x, [inside, start + block, place + SIDE], lanes), geometry.offset))
                    for start, _ in source.planes(0)
                ]
                for position in range(PACK):
                    code = extract(words[0], position)
                    if source.wide:
                        code = code * tirx.const(256, "int32") + extract(words[1], position)
                    part = code * _number(weight)
                    totals[position] = part if totals[position] is None else totals[position] + part
            half = (1 << (down.shift - 1)) if down.shift else 0
            for position in range(PACK):
                value = totals[position] + _number(half - zero)
                if down.shift:
                    value = value >> tirx.const(down.shift, "int32")
                T.buffer_store(sums, value, [position, _ramp(place + SIDE, lanes)])

        def pixels(h: Any, block: Any, p: int, place: Any, lanes: int) -> None:
            """Write what the pixels from column ``place`` on become in phase ``p`` of rows."""
            others = _dealt(
                lambda start, v: _load(r, [h * factor + p, start, place * factor + (v + SIDE)], lanes), factor, lanes
            )

            def other(number: int, start: Any) -> Any:
                return flipped(others(start)[number], geometry.offset)

            found: list[tuple[Any, ...]] = []
            for number, phase in enumerate(across.phases):
                values = []
                for position in range(PACK):
                    total: Any = None
                    for tap, weight in enumerate(phase.weights):
                        at = place + (SIDE + phase.first + tap)
                        part = _load(sums, [position, at], lanes) * _number(weight)
                        total = part if total is None else total + part
                    added = None
                    if residual is not None:
                        added = residual_code(
                            partial(other, number),
                            residual,
                            target.count,
                            block,
                            position,
                        )
                    bend = None if slope is None else slope[block * PACK + position]
                    values.append(activate(total, multiplier, bend, added, requantize))
                packing = PLAIN if lanes == 1 else dot.pack
                packed = pack_words(values, requantize, target, packing)
                found.append(tuple(T.bind(flipped(words, geometry.offset)) for words in packed))
            for (start, _), vectors in zip(target.planes(0), zip(*found, strict=True), strict=True):
                column = place * factor + SIDE
                for index, words in enumerate(_side_by_side(vectors, lanes)):
                    T.buffer_store(y, words, [h * factor + p, start + block, _ramp(column + index * lanes, lanes)])

        def cover(write: Callable[[Any, int], None]) -> None:
            """Call ``write`` for all columns of the input, in vectors of which the last two may overlap."""
            if dot.lanes == 1:
                with T.serial(0, width) as v:
                    write(v, 1)
                return
            lanes = dot.lanes
            with T.If(width >= lanes):
                with T.Then(), T.serial(0, tirx.floordiv(width + (lanes - 1), lanes)) as u:
                    write(tirx.min(u * lanes, width - lanes), lanes)
                with T.Else(), T.serial(0, width) as v:
                    write(v, 1)

        with T.serial(0, height) as h, T.serial(0, target.count) as block:
            for p, phase in enumerate(down.phases):
                cover(partial(row_sums, h, block, phase))
                for position in range(PACK):
                    for step in range(max(above, below)):
                        T.buffer_store(sums, sums[position, SIDE], [position, SIDE - 1 - step])
                        T.buffer_store(sums, sums[position, SIDE + width - 1], [position, width + (SIDE + step)])
                cover(partial(pixels, h, block, p))
                for start, zero_byte in target.planes(requantize.zero_point):
                    with T.serial(0, wide_tiles * geometry.columns - width * factor) as v:
                        outside = outside_word(zero_byte, geometry.offset)
                        T.buffer_store(y, outside, [h * factor + p, start + block, width * factor + v + SIDE])
    return builder.get()


def surroundings(given: Sequence[Phase]) -> tuple[int, int]:
    """Return the rows above and below a row that what it becomes is made of."""
    return max(0, *(-phase.first for phase in given)), max(0, *(phase.last for phase in given))


def _load(buffer: Any, index: list[Any], lanes: int) -> Any:
    *outer, last = index
    return buffer[(*outer, last)] if lanes == 1 else buffer.vload(index, f"{buffer.dtype}x{lanes}")


def _number(value: int) -> Any:
    return tirx.const(value, "int32")


def _ramp(place: Any, lanes: int) -> Any:
    return place if lanes == 1 else tirx.Ramp(place, 1, lanes)


def _dealt(load: Callable[[Any, int], Any], factor: int, lanes: int) -> Callable[[Any], list[Any]]:
    """Return what gives, for a block, ``factor`` vectors: vector q holds every ``factor``-th word from word q on.
    ``load`` loads ``lanes`` words from one on.
    """
    known: dict[str, list[Any]] = {}

    def deal(start: Any) -> list[Any]:
        if str(start) not in known:
            words = [T.bind(load(start, index * lanes)) for index in range(factor)]
            if lanes > 1:
                words = [_shuffled(words, [q + factor * lane for lane in range(lanes)]) for q in range(factor)]
            known[str(start)] = words
        return known[str(start)]

    return deal


def _side_by_side(vectors: Sequence[Any], lanes: int) -> list[Any]:
    """Return the words of several vectors in turn, as vectors of ``lanes``."""
    if lanes == 1:
        return list(vectors)
    count = len(vectors)
    places = [(index % count) * lanes + index // count for index in range(count * lanes)]
    return [_shuffled(vectors, places[start : start + lanes]) for start in range(0, count * lanes, lanes)]


def _shuffled(vectors: Sequence[Any], places: Sequence[int]) -> Any:
    return T.bind(tirx.Shuffle(list(vectors), [tirx.const(place, "int32") for place in places]))
