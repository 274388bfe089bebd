"""The other integer kernels for OpenCL, word by word: sums, products, extremes and changes of scale, depth-to-space,
and the pictures where no convolution reads or writes them.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, followed, pixelwise, slopes, spread
from toolchain.backends.opencl.primitives import (
    bind,
    call,
    choose,
    code_of,
    load,
    number,
    pixel_word,
    real,
    store,
    store_codes,
)
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.spec import Combine, Draw, Elementwise, Operand, Pack, Shuffle


def combine(operation: Elementwise, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Combine two packed tensors, or take one, and requantize: arguments x, r, slopes, y."""
    requantize, target, stages = operation.requantize, operation.target, operation.requantize.stages
    bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]

    def body(at: Item) -> None:
        pairs = zip(at.inputs, operation.operands, strict=True)
        given = [_Given(x, operand, at, config) for x, operand in pairs]
        for block in range(target.count):
            codes = []
            for channel in range(block * PACK, block * PACK + PACK):
                terms = [one.values(channel) for one in given]
                both = terms[0] if len(terms) == 1 else list(map(_COMBINED[operation.combine], *terms))
                values = followed(both, stages, at, channel)
                codes.append([call("uint32", "requantize", value, *bounds) for value in values])
            store_codes(at.y, codes, target, requantize.zero_point, (at.inner, block, at.column), at.size)

    reads = [Form(operand.view.total, scale=0 if operand.single else 1) for operand in operation.operands]
    return pixelwise(reads, Form(target.total), config, body, slopes(stages, target.count * PACK))


def pack(operation: Pack, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Make packed words of the picture: arguments x, y."""

    def body(at: Item) -> None:
        size, (x,) = at.size, at.inputs
        words = [
            choose(column < size.width, pixel_word(x, at.row, column, size.height, size.width, operation.channels), 0)
            for column in (at.column + p for p in range(config.pixels))
        ]
        store(at.y, [at.inner, operation.target.start, at.column + SIDE], [bind("word", word) for word in words])

    return pixelwise([Form(channels=operation.channels)], Form(operation.target.total), config, body)


def draw(operation: Draw, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Draw the picture from packed words, depth-to-space included: arguments x, y."""
    source, picture = operation.source, operation.pixels

    def body(at: Item) -> None:
        words = [
            load("word", at.inputs[0], [at.inner, source.start + block, at.column + SIDE], config.pixels)
            for block in range(source.count)
        ]

        def code(slot: int, p: int) -> Any:
            return tirx.Cast("uint8", call("uint32", "code_of", words[slot // PACK][p], number(slot % PACK)))

        spread(picture, at, config.pixels, code)

    return pixelwise([Form(source.total)], Form(channels=picture.channels, scale=picture.scale), config, body)


def shuffle(operation: Shuffle, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Make a packed tensor of a smaller one: arguments x, y. What surrounds the picture is left as it was filled."""
    source, target, scale = operation.source, operation.target, operation.pixels.scale
    margin, pixels = config.geometry.margin, config.pixels

    def body(at: Item) -> None:
        for (read, _), (written, zero) in zip(source.planes(0), target.planes(operation.zero_point), strict=True):
            for block, places in itertools.groupby(operation.pixels.words(), lambda place: place[2]):
                known: dict[int, list[Any]] = {}
                for dy, dx, _, slots in places:
                    for slot in slots:
                        if slot is not None and slot // PACK not in known:
                            place = [at.inner, read + slot // PACK, at.column + SIDE]
                            known[slot // PACK] = load("word", at.inputs[0], place, pixels)
                    for p in range(pixels):
                        codes = [
                            tirx.const(zero, "uint32")
                            if slot is None
                            else call("uint32", "code_of", known[slot // PACK][p], number(slot % PACK))
                            for slot in slots
                        ]
                        column = at.column + p
                        with T.If(column < at.size.width), T.Then():
                            place = [at.row * scale + (margin + dy), written + block, column * scale + (SIDE + dx)]
                            T.buffer_store(at.y, call("uint32", "pack4", *codes), place)

    return pixelwise([Form(source.total)], Form(target.total, scale=scale), config, body)


_COMBINED: dict[Combine, Callable[[Any, Any], Any]] = {
    "sum": operator.add,
    "product": operator.mul,
    "min": lambda a, b: call("float32", "fmin", a, b),
    "max": lambda a, b: call("float32", "fmax", a, b),
}


class _Given:
    """A term of a sum for the pixels of a work-item; every word of it is loaded once."""

    def __init__(self, x: Any, operand: Operand, at: Item, config: PixelwiseConfig) -> None:
        self.x, self.operand, self.pixels = x, operand, config.pixels
        self.row: Any = config.geometry.margin if operand.single else at.inner
        self.column: Any = SIDE if operand.single else at.column + SIDE
        self.words: dict[int, list[Any]] = {}

    def values(self, channel: int) -> list[Any]:
        """Return float32 of its value for output ``channel``, pixel by pixel."""
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
        """Load the words of a block, pixel by pixel."""
        if block not in self.words:
            count = 1 if self.operand.single else self.pixels
            words = load("word", self.x, [self.row, block, self.column], count)
            self.words[block] = words * (self.pixels // count)
        return self.words[block]
