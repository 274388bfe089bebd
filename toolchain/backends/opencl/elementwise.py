"""The other kernels for OpenCL, word by word: sums and changes of scale, and the pictures where no convolution reads or
writes them. One work-item computes some neighbouring pixels of all channels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.primitives import (
    Size,
    bind,
    call,
    choose,
    code_of,
    follow,
    item,
    load,
    number,
    pixel_word,
    real,
    store,
    store_codes,
    threads,
)
from toolchain.kernels.function import function
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Draw, Elementwise, Operand, Pack, Shuffle

Group = tuple[int, int, int]


def add(operation: Elementwise, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return the sum of one or two packed tensors, requantized: arguments x, r, slopes, y."""
    requantize, target = operation.requantize, operation.target

    def write(size: Size) -> Callable[[Any, Any], None]:
        inputs = [
            size.operand(name, operand.view.total, geometry, None)
            for name, operand in zip("xr", operation.operands, strict=False)
        ]
        slopes = T.arg("slopes", T.Buffer((target.count * PACK,), "float32")) if requantize.slopes else None
        size.declare()
        y = size.operand("y", target.total, geometry, None)
        bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]

        def body(row: Any, column: Any) -> None:
            given = [
                _Given(x, operand, row + geometry.margin, column + SIDE, pixels)
                for x, operand in zip(inputs, operation.operands, strict=True)
            ]
            for block in range(target.count):
                codes = []
                for channel in range(block * PACK, block * PACK + PACK):
                    terms = [one.values(channel) for one in given]
                    values = terms[0] if len(terms) == 1 else [a + b for a, b in zip(*terms, strict=True)]
                    for stage in requantize.stages:
                        values = follow(values, stage, None if slopes is None else slopes[channel])
                    codes.append([call("uint32", "requantize", value, *bounds) for value in values])
                store_codes(y, codes, target, requantize.zero_point, (row + geometry.margin, block, column), size)

        return body

    return pixelwise(write, pixels, group)


def pack(operation: Pack, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return the picture as packed words: arguments x, y."""

    def write(size: Size) -> Callable[[Any, Any], None]:
        x = size.operand("x", 0, geometry, operation.channels)
        size.declare()
        y = size.operand("y", operation.target.total, geometry, None)

        def body(row: Any, column: Any) -> None:
            words = [
                choose(
                    column + p < size.width,
                    pixel_word(x, row, column + p, size.height, size.width, operation.channels),
                    0,
                )
                for p in range(pixels)
            ]
            store(
                y,
                [row + geometry.margin, operation.target.start, column + SIDE],
                [bind("word", word) for word in words],
            )

        return body

    return pixelwise(write, pixels, group)


def draw(operation: Draw, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return the picture from packed words, depth-to-space included: arguments x, y."""
    source, scale = operation.source, operation.pixels.scale

    def write(size: Size) -> Callable[[Any, Any], None]:
        x = size.operand("x", source.total, geometry, None)
        size.declare()
        y = size.operand("y", 0, geometry, operation.pixels.channels, scale)

        def body(row: Any, column: Any) -> None:
            words = [
                load("word", x, [row + geometry.margin, source.start + block, column + SIDE], pixels)
                for block in range(source.count)
            ]
            for p in range(pixels):
                with T.If(column + p < size.width), T.Then():
                    for dy, dx, channel, slot in operation.pixels.places():
                        code = call("uint32", "code_of", words[slot // PACK][p], number(slot % PACK))
                        T.buffer_store(
                            y, tirx.Cast("uint8", code), [row * scale + dy, (column + p) * scale + dx, channel]
                        )

        return body

    return pixelwise(write, pixels, group)


def shuffle(operation: Shuffle, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return a packed tensor from a smaller one: arguments x, y. What surrounds the picture is left as it was
    filled.
    """
    source, target, scale = operation.source, operation.target, operation.pixels.scale

    def write(size: Size) -> Callable[[Any, Any], None]:
        x = size.operand("x", source.total, geometry, None)
        size.declare()
        y = size.operand("y", target.total, geometry, None, scale)

        def body(row: Any, column: Any) -> None:
            for (read, _), (written, zero) in zip(source.planes(0), target.planes(operation.zero_point), strict=True):
                for block, places in itertools.groupby(operation.pixels.words(), lambda place: place[2]):
                    known: dict[int, list[Any]] = {}
                    for dy, dx, _, slots in places:
                        for slot in slots:
                            if slot is not None and slot // PACK not in known:
                                known[slot // PACK] = load(
                                    "word", x, [row + geometry.margin, read + slot // PACK, column + SIDE], pixels
                                )
                        for p in range(pixels):
                            codes = [
                                tirx.const(zero, "uint32")
                                if slot is None
                                else call("uint32", "code_of", known[slot // PACK][p], number(slot % PACK))
                                for slot in slots
                            ]
                            with T.If(column + p < size.width), T.Then():
                                T.buffer_store(
                                    y,
                                    call("uint32", "pack4", *codes),
                                    [
                                        row * scale + (geometry.margin + dy),
                                        written + block,
                                        (column + p) * scale + (SIDE + dx),
                                    ],
                                )

        return body

    return pixelwise(write, pixels, group)


def pixelwise(write: Callable[[Size], Callable[[Any, Any], None]], pixels: int, group: Group) -> tirx.PrimFunc:
    """Return a kernel: ``write`` declares its arguments and returns what writes the work-item at a row and a column."""
    with IRBuilder() as builder, function("words"):
        size = Size()
        body = write(size)
        with threads(((size.width + pixels - 1) // pixels, size.height, 1), group):
            column, row = item("column", 0, pixels), item("row", 1, 1)
            with T.If(tirx.all(column < size.width, row < size.height, item("part", 2, 1) < 1)), T.Then():
                body(row, column)
    return builder.get()


class _Given:
    """A term of a sum for the pixels of a work-item; every word of it is loaded once."""

    def __init__(self, x: Any, operand: Operand, row: Any, column: Any, pixels: int) -> None:
        self.x, self.operand, self.row, self.column, self.pixels = x, operand, row, column, pixels
        self.words: dict[int, list[Any]] = {}

    def values(self, channel: int) -> list[Any]:
        """float32 of its value for output ``channel``, pixel by pixel."""
        operand = self.operand
        slot = channel // operand.divide % operand.modulo
        if operand.slots:
            slot = operand.slots[channel] if channel < len(operand.slots) else 0
        planes = [self.loaded(first + slot // PACK) for first, _ in operand.view.planes(0)]
        return [
            call(
                "float32",
                "dequantize",
                code_of(words, number(slot % PACK)),
                number(operand.zero_point),
                real(operand.multiplier),
            )
            for words in zip(*planes, strict=True)
        ]

    def loaded(self, block: int) -> list[Any]:
        """Return words of a block, pixel by pixel."""
        if block not in self.words:
            self.words[block] = load("word", self.x, [self.row, block, self.column], self.pixels)
        return self.words[block]
