"""The convolution template for OpenCL: one work-item computes some neighbouring pixels of some output channels.

Everything of a quantized convolution is one launch: padding, sums, bias, requantization, activation, residual, and at
the network's ends the pictures themselves, with depth-to-space. Padding is read from memory as in the CPU's kernels
(`toolchain.kernels.layout`), or by clamped coordinates where the source is the picture. There is no local memory: on
Mali it is main memory, and what neighbours share lies in the cache.

`arrange` orders the constants so that a work-item reads its weights one after the other, four words a load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.float_spec import FloatOperand
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Conv, Operand, Pixels
from toolchain.opencl.terms import Size, bind, call, choose, load, number, pixel_word, private, real, store, threads
from toolchain.opencl.terms import item as first

Array = npt.NDArray[Any]
Repeated: TypeAlias = Operand | FloatOperand
"""A residual: output channel c adds its channel ``c // divide % modulo``."""


@dataclass(frozen=True)
class Item:
    """What a work-item computes.

    Attributes:
        pixels: neighbouring pixels of a row.
        channels: output channels.
        order: the convolution's output channels in the kernel's order: of ``channels`` at a time, work-items along z
            take the first, the second and so on. For a picture it is the order of its bytes, and ``channels`` whole
            rows of them.
    """

    pixels: int
    channels: int
    order: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Work-items along z."""
        return len(self.order) // self.channels


def item_for(conv: Conv, pixels: int, sums: int) -> Item:
    """The work-item of ``conv`` with at most ``sums`` accumulators, if ``pixels`` pixels of four channels fit."""
    if conv.pixels is None:
        per_group = conv.channels // conv.groups
        fitting = [c for c in range(PACK, per_group + 1, PACK) if per_group % c == 0 and c * pixels <= sums]
        return Item(pixels, max(fitting, default=PACK), tuple(range(conv.channels)))
    return picture_item(conv.pixels, conv.requantize.residual, pixels, sums)


def picture_item(picture: Pixels, residual: Repeated | None, pixels: int, sums: int) -> Item:
    """The work-item of a convolution that ends in a picture: whole rows of a pixel's bytes."""
    row = picture.scale * picture.channels
    rows = [r for r in range(1, picture.scale + 1) if picture.scale % r == 0 and r * row * pixels <= sums]
    channels = row * max(rows, default=1)
    if residual is not None and len({slots_of(picture.table, residual)[z:z + channels]
                                     for z in range(0, len(picture.table), channels)}) > 1:
        channels = len(picture.table)    # rows of bytes add other channels of the residual: one work-item for all
    while pixels > 1 and channels * pixels > 2 * sums:
        pixels //= 2
    return Item(pixels, channels, picture.table)


def slots_of(order: Sequence[int], residual: Repeated) -> tuple[int, ...]:
    """The residual's channel for every output channel."""
    return tuple(channel // residual.divide % residual.modulo for channel in order)


def arrange(conv: Conv, item: Item, weights: Array, bias: Array, multiplier: Array, slopes: Array | None
            ) -> dict[str, Array]:  # fmt: skip
    """Constants as `build`'s kernel reads them.

    Args:
        conv: the convolution.
        item: its work-item.
        weights: int8 (channels, blocks / groups, kh, kw, 4).
        bias: int32 (channels,).
        multiplier: float32 (channels,).
        slopes: float32 (channels,) or None.

    Returns:
        "weights" as uint32 (z, blocks, kh, kw, channels of a work-item), "bias", "multiplier" and perhaps "slopes".
    """
    if _dense(conv):
        wide = np.zeros((conv.channels, conv.source.count, *weights.shape[2:]), np.int8)
        blocks, channels = weights.shape[1], conv.channels // conv.groups
        for group in range(conv.groups):
            wide[group * channels:(group + 1) * channels, group * blocks:(group + 1) * blocks] = (
                weights[group * channels:(group + 1) * channels])
        weights = wide
    order = list(item.order)
    words = np.ascontiguousarray(weights[order].astype(np.int8)).view("<u4")[..., 0]
    words = words.reshape(item.depth, item.channels, *words.shape[1:]).transpose(0, 2, 3, 4, 1)
    arrays = {"weights": np.ascontiguousarray(words), "bias": bias[order], "multiplier": multiplier[order]}
    return arrays if slopes is None else {**arrays, "slopes": slopes[order]}


def build(conv: Conv, geometry: Geometry, item: Item, group: tuple[int, int, int], *, picture: int | None,
          anchor: int | None) -> tirx.PrimFunc:
    """The kernel of ``conv`` as a function with its threads bound.

    Args:
        conv: what it computes.
        geometry: of packed tensors.
        item: what a work-item computes; ``geometry.columns`` are a multiple of its pixels.
        group: work-items of a work-group along x, y, z.
        picture: channels of the picture that is its source; None: the source is a packed tensor.
        anchor: channels of the picture that is its residual; None: a packed tensor, or there is none.
    """
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            T.func_name("conv")
            T.func_attr({"tirx.noalias": True})
            _Kernel(conv, geometry, item, picture, anchor).write(group)
        return builder.get()


class _Kernel:
    """Writes one kernel: its arguments first, then what a work-item does."""

    def __init__(self, conv: Conv, geometry: Geometry, item: Item, picture: int | None, anchor: int | None) -> None:
        self.conv, self.geometry, self.item, self.picture, self.anchor = conv, geometry, item, picture, anchor
        self.groups = 1 if _dense(conv) else conv.groups
        self.blocks = conv.source.count // self.groups
        requantize, residual = conv.requantize, conv.requantize.residual
        self.size = Size()
        self.x = self.size.operand("x", conv.source.total, geometry, picture)
        self.r = None if residual is None else self.size.operand("r", residual.view.total, geometry, anchor)
        self.weights = T.arg("weights", T.Buffer((item.depth, self.blocks, *conv.kernel, item.channels), "uint32"))
        vectors = {"bias": "int32", "multiplier": "float32", **({"slopes": "float32"} if requantize.slopes else {})}
        self.vectors = {name: T.arg(name, T.Buffer((item.depth, item.channels), dtype))
                        for name, dtype in vectors.items()}
        self.size.declare()
        self.y = (self.size.operand("y", conv.target.total, geometry, None) if conv.pixels is None
                  else self.size.operand("y", 0, geometry, conv.pixels.channels, conv.pixels.scale))

    def write(self, group: tuple[int, int, int]) -> None:
        """The function's body."""
        item, size = self.item, self.size
        items = ((size.width + item.pixels - 1) // item.pixels, size.height, item.depth)
        with threads(items, group):
            self.column, self.row, self.part = first("column", 0, item.pixels), first("row", 1, 1), first("part", 2, 1)
            inside = tirx.all(self.column < size.width, self.row < size.height, self.part < item.depth)
            with T.If(inside), T.Then():
                codes = self.codes(self.sums())
                if self.conv.pixels is None:
                    self.store_words(codes)
                else:
                    pixels = [[tirx.Cast("uint8", code) for code in row] for row in codes]
                    spread(self.conv.pixels, item, self.y, pixels, (self.part, self.row, self.column), size)

    def sums(self) -> Any:
        """The bias, and the products of all taps: an array (channels, pixels)."""
        conv, item = self.conv, self.item
        sums = private("sum", item.channels * item.pixels, "int32")
        for c, start in enumerate(self.vector("start", "bias")):
            for p in range(item.pixels):
                T.buffer_store(sums, start, [c * item.pixels + p])
        with T.serial(0, self.blocks) as k, T.serial(0, conv.kernel[0]) as i:
            IRBuilder.name("block", k)
            IRBuilder.name("tap_row", i)
            words = self.window(k, i)
            for j in range(conv.kernel[1]):
                taps = load("taps", self.weights, [self.part, k, i, j, 0], item.channels)
                for c, tap in enumerate(taps):
                    for p in range(item.pixels):
                        place = c * item.pixels + p
                        code = words[p + j * conv.dilation[1]]
                        T.buffer_store(sums, call("int32", "dot4", sums[place], code, tap), [place])
        return sums

    def window(self, k: Any, i: Any) -> list[Any]:
        """Words of input block ``k`` that the kernel's row ``i`` covers for all pixels."""
        conv, count = self.conv, self.item.pixels + self.conv.reach[1]
        row, column = self.row + i * conv.dilation[0] - conv.pads[0], self.column - conv.pads[1]
        if self.picture is not None:
            return [bind("codes", pixel_word(self.x, row, column + offset, self.size.height, self.size.width,
                                             self.picture)) for offset in range(count)]
        block = conv.source.start + k
        if self.groups > 1:
            block = block + self.part // (conv.channels // self.groups // self.item.channels) * self.blocks
        return load("codes", self.x, [row + self.geometry.margin, block, column + SIDE], count)

    def codes(self, sums: Any) -> list[list[Any]]:
        """The output's codes, channel by channel and pixel by pixel."""
        requantize, item = self.conv.requantize, self.item
        residual = requantize.residual
        others = None if residual is None else self.residual(residual)
        factors = self.vector("factor", "multiplier")
        slopes = self.vector("slope", "slopes") if requantize.slopes else None
        bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]
        codes = []
        for c in range(item.channels):
            values = [tirx.Cast("float32", sums[c * item.pixels + p]) * factors[c] for p in range(item.pixels)]
            if slopes is not None:
                values = [call("float32", "prelu", value, slopes[c]) for value in values]
            if requantize.inner is not None:
                low, high = requantize.inner
                values = [call("float32", "fmax", value, real(low)) for value in values]
                if high != float("inf"):
                    values = [call("float32", "fmin", value, real(high)) for value in values]
            if others is not None and residual is not None:
                values = [value + call("float32", "dequantize", other, number(residual.zero_point),
                                       real(residual.multiplier))
                          for value, other in zip(values, others[c], strict=True)]
            codes.append([call("uint32", "requantize", value, *bounds) for value in values])
        return codes

    def residual(self, residual: Operand) -> list[list[Any]]:
        """The residual's codes, channel by channel and pixel by pixel."""
        item = self.item
        in_step = residual.divide == 1 and residual.modulo >= self.conv.channels and self.conv.pixels is None
        known: dict[int, list[Any]] = {}
        codes = []
        for c in range(item.channels):
            if in_step:    # channel by channel: the work-items along z read the blocks along z
                slot, block = c, residual.view.start + self.part * (item.channels // PACK) + c // PACK
            elif self.conv.pixels is not None or item.depth == 1:    # the same for all work-items along z
                slot = slots_of(item.order, residual)[c]
                block = residual.view.start + slot // PACK
            else:
                channel = tirx.floordiv(self.part * item.channels + c, residual.divide)
                slot = bind("slot", tirx.floormod(channel, residual.modulo))
                block = residual.view.start + tirx.floordiv(slot, PACK)
            if not isinstance(slot, int):
                words, position = self.others(block), tirx.floormod(slot, PACK)
            else:
                if slot // PACK not in known:
                    known[slot // PACK] = self.others(block)
                words, position = known[slot // PACK], number(slot % PACK)
            codes.append([call("uint32", "code_of", word, position) for word in words])
        return codes

    def others(self, block: Any) -> list[Any]:
        """Words of the residual's block for all pixels."""
        if self.anchor is not None:
            return [bind("other", pixel_word(self.r, self.row, self.column + p, self.size.height, self.size.width,
                                             self.anchor)) for p in range(self.item.pixels)]
        return load("other", self.r, [self.row + self.geometry.margin, block, self.column + SIDE], self.item.pixels)

    def store_words(self, codes: list[list[Any]]) -> None:
        """Packed words; right of the picture, the zero point."""
        outside = self.conv.requantize.zero_point * 0x01010101
        blocks = self.item.channels // PACK
        for b in range(blocks):
            words = []
            for p in range(self.item.pixels):
                word = call("uint32", "pack4", *(codes[b * PACK + q][p] for q in range(PACK)))
                words.append(bind("word", choose(self.column + p < self.size.width, word, outside)))
            block = self.conv.target.start + self.part * blocks + b
            store(self.y, [self.row + self.geometry.margin, block, self.column + SIDE], words)

    def vector(self, name: str, array: str) -> list[Any]:
        """A constant for each of the work-item's channels."""
        return load(name, self.vectors[array], [self.part, 0], self.item.channels)


def _dense(conv: Conv) -> bool:
    """Whether groups are filled up with zero weights: bytes of a picture are not in the groups' order."""
    return conv.groups > 1 and conv.pixels is not None


def spread(picture: Pixels, item: Item, y: Any, codes: list[list[Any]], place: tuple[Any, Any, Any],
           size: Size) -> None:
    """Depth-to-space of uint8 codes, by channel and pixel: a work-item's channels are whole rows of a pixel's bytes.

    Args:
        picture: how channels become pixels.
        item: what the work-item computed.
        y: the picture.
        codes: its values.
        place: the work-item's part along z, its row and its first column.
        size: of the input.
    """
    part, row, column = place
    scale, channels = picture.scale, picture.channels
    rows = item.channels // (scale * channels)
    for p in range(item.pixels):
        with T.If(column + p < size.width), T.Then():
            for c in range(item.channels):
                dy, dx, channel = c // (scale * channels), c // channels % scale, c % channels
                T.buffer_store(y, codes[c][p], [row * scale + part * rows + dy, (column + p) * scale + dx, channel])
