"""The convolution template for OpenCL: one work-item computes some neighbouring pixels of some output channels.

Everything of a quantized convolution is one launch: padding, sums, bias, requantization, activation, residual, and at
the network's ends the pictures themselves, with depth-to-space. Padding is read from memory as in the CPU's kernels
(`toolchain.kernels.layout`), or by clamped coordinates where the source is the picture. There is no local memory: on
Mali it is main memory, and what neighbours share lies in the cache.

`arrange` orders the constants so that a work-item reads its weights one after the other, four words a load.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.job import Job, slots_of
from toolchain.backends.opencl.terms import (
    Size,
    bind,
    call,
    code_of,
    item,
    load,
    number,
    pixel_word,
    private,
    real,
    store_codes,
    threads,
)
from toolchain.kernels.function import function
from toolchain.kernels.launch import Cut
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Conv, Operand, Pixels, View

Array = npt.NDArray[Any]


def arrange(
    job: Job, cut: Cut, weights: Array, bias: Array, multiplier: Array, slopes: Array | None = None
) -> dict[str, Array]:
    """Constants as `build`'s kernel reads them.

    Args:
        job: the kernel.
        cut: its cut.
        weights: int8 (channels, blocks / groups, kh, kw, 4).
        bias: int32 (channels,).
        multiplier: float32 (channels,).
        slopes: float32 (channels,) or None.

    Returns:
        "weights" as uint32 (z, blocks, kh, kw, channels of a work-item), "bias", "multiplier" and perhaps "slopes".
    """
    conv, order = job.conv, list(job.order)
    if job.dense:
        wide = np.zeros((conv.channels, conv.source.count, *weights.shape[2:]), np.int8)
        blocks, channels = weights.shape[1], conv.channels // conv.groups
        for group in range(conv.groups):
            wide[group * channels : (group + 1) * channels, group * blocks : (group + 1) * blocks] = weights[
                group * channels : (group + 1) * channels
            ]
        weights = wide
    words = np.ascontiguousarray(weights[order].astype(np.int8)).view("<u4")[..., 0]
    words = words.reshape(-1, cut.channels, *words.shape[1:]).transpose(0, 2, 3, 4, 1)
    arrays = {"weights": np.ascontiguousarray(words), "bias": bias[order], "multiplier": multiplier[order]}
    return arrays if slopes is None else {**arrays, "slopes": slopes[order]}


def build(job: Job, geometry: Geometry, cut: Cut) -> tirx.PrimFunc:
    """The kernel of an integer convolution as a function with its threads bound.

    Args:
        job: what it computes.
        geometry: of packed tensors.
        cut: how; ``geometry.columns`` are a multiple of its pixels.
    """
    with IRBuilder() as builder, function("conv"):
        _Kernel(job, geometry, cut).write()
    return builder.get()


class _Kernel:
    """Writes one kernel: its arguments first, then what a work-item does."""

    def __init__(self, job: Job, geometry: Geometry, cut: Cut) -> None:
        assert isinstance(job.conv, Conv)
        conv = job.conv
        self.job, self.conv, self.geometry, self.cut = job, conv, geometry, cut
        self.depth = len(job.order) // cut.channels
        requantize, residual = conv.requantize, conv.requantize.residual
        self.size = Size()
        self.x = self.size.operand("x", conv.source.total, geometry, job.picture)
        self.r = None if residual is None else self.size.operand("r", residual.view.total, geometry, job.anchor)
        self.weights = T.arg("weights", T.Buffer((self.depth, job.inputs, *conv.kernel, cut.channels), "uint32"))
        vectors = {"bias": "int32", "multiplier": "float32", **({"slopes": "float32"} if requantize.slopes else {})}
        self.vectors = {
            name: T.arg(name, T.Buffer((self.depth, cut.channels), dtype)) for name, dtype in vectors.items()
        }
        self.size.declare()
        self.y = (
            self.size.operand("y", conv.target.total, geometry, None)
            if conv.pixels is None
            else self.size.operand("y", 0, geometry, conv.pixels.channels, conv.pixels.scale)
        )

    def write(self) -> None:
        """The function's body."""
        cut, size = self.cut, self.size
        items = ((size.width + cut.pixels - 1) // cut.pixels, size.height, self.depth)
        with threads(items, cut.group):
            self.column, self.row, self.part = item("column", 0, cut.pixels), item("row", 1, 1), item("part", 2, 1)
            inside = tirx.all(self.column < size.width, self.row < size.height, self.part < self.depth)
            with T.If(inside), T.Then():
                codes = self.codes(self.sums())
                if self.conv.pixels is None:
                    self.store_words(codes)
                else:
                    pixels = [[tirx.Cast("uint8", code) for code in row] for row in codes]
                    spread(self.conv.pixels, cut, self.y, pixels, (self.part, self.row, self.column), size)

    def sums(self) -> Any:
        """The bias, and the products of all taps: an array (channels, pixels). Of codes of 16 bits, the sums over high
        bytes come first, and count 256 times.
        """
        source, cut = self.conv.source, self.cut
        sums = private("sum", cut.channels * cut.pixels, "int32")
        places = [(c, c * cut.pixels + p) for c in range(cut.channels) for p in range(cut.pixels)]
        if source.wide:
            for _, place in places:
                T.buffer_store(sums, number(0), [place])
            self.add_products(sums, source.start)
        starts = self.vector("start", "bias")
        for c, place in places:
            T.buffer_store(sums, sums[place] * 256 + starts[c] if source.wide else starts[c], [place])
        self.add_products(sums, source.low if source.wide else source.start)
        return sums

    def add_products(self, sums: Any, start: int) -> None:
        """Add the products of all taps with the bytes that lie from block ``start`` on."""
        conv, cut = self.conv, self.cut
        rows = T.unroll if cut.unroll else T.serial
        with T.serial(0, self.job.inputs) as k, rows(0, conv.kernel[0]) as i:
            IRBuilder.name("block", k)
            IRBuilder.name("tap_row", i)
            words = self.window(start + k, i)
            for j in range(conv.kernel[1]):
                taps = load("taps", self.weights, [self.part, k, i, j, 0], cut.channels, cut.vector)
                for c, tap in enumerate(taps):
                    for p in range(cut.pixels):
                        place = c * cut.pixels + p
                        code = words[p + j * conv.dilation[1]]
                        T.buffer_store(sums, call("int32", "dot4", sums[place], code, tap), [place])

    def window(self, block: Any, i: Any) -> list[Any]:
        """Words of ``block`` that the kernel's row ``i`` covers for all pixels; of the group that is computed."""
        conv, count = self.conv, self.cut.pixels + self.job.window
        row, column = self.row + i * conv.dilation[0] - conv.pads[0], self.column - conv.pads[1]
        if self.job.picture is not None:
            return [
                bind(
                    "codes",
                    pixel_word(self.x, row, column + offset, self.size.height, self.size.width, self.job.picture),
                )
                for offset in range(count)
            ]
        if conv.groups > 1 and not self.job.dense:
            block = block + self.part // (conv.channels // conv.groups // self.cut.channels) * self.job.inputs
        return load("codes", self.x, [row + self.geometry.margin, block, column + SIDE], count, self.cut.vector)

    def codes(self, sums: Any) -> list[list[Any]]:
        """The output's codes, channel by channel and pixel by pixel."""
        requantize, cut = self.conv.requantize, self.cut
        residual = requantize.residual
        others = None if residual is None else self.residual(residual)
        factors = self.vector("factor", "multiplier")
        slopes = self.vector("slope", "slopes") if requantize.slopes else None
        bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]
        codes = []
        for c in range(cut.channels):
            values = [tirx.Cast("float32", sums[c * cut.pixels + p]) * factors[c] for p in range(cut.pixels)]
            if slopes is not None:
                values = [call("float32", "prelu", value, slopes[c]) for value in values]
            if requantize.inner is not None:
                low, high = requantize.inner
                values = [call("float32", "fmax", value, real(low)) for value in values]
                if high != float("inf"):
                    values = [call("float32", "fmin", value, real(high)) for value in values]
            if others is not None and residual is not None:
                values = [
                    value + call("float32", "dequantize", other, number(residual.zero_point), real(residual.multiplier))
                    for value, other in zip(values, others[c], strict=True)
                ]
            codes.append([call("uint32", "requantize", value, *bounds) for value in values])
        return codes

    def residual(self, residual: Operand) -> list[list[Any]]:
        """The residual's codes, channel by channel and pixel by pixel."""
        cut = self.cut
        in_step = residual.divide == 1 and residual.modulo >= self.conv.channels and self.conv.pixels is None
        known: dict[int, list[Any]] = {}
        codes = []
        for c in range(cut.channels):
            if in_step:  # channel by channel: the work-items along z read the blocks along z
                slot, block = c, self.part * (cut.channels // PACK) + c // PACK
            elif self.conv.pixels is not None or self.depth == 1:  # the same for all work-items along z
                slot = slots_of(self.job.order, residual)[c]
                block = slot // PACK
            else:
                channel = tirx.floordiv(self.part * cut.channels + c, residual.divide)
                slot = bind("slot", tirx.floormod(channel, residual.modulo))
                block = tirx.floordiv(slot, PACK)
            if not isinstance(slot, int):
                words, position = self.others(residual.view, block), tirx.floormod(slot, PACK)
            else:
                if slot // PACK not in known:
                    known[slot // PACK] = self.others(residual.view, block)
                words, position = known[slot // PACK], number(slot % PACK)
            codes.append([code_of(planes, position) for planes in words])
        return codes

    def others(self, view: View, block: Any) -> list[tuple[Any, ...]]:
        """Words of the residual's block for all pixels, one of each plane."""
        cut = self.cut
        if self.job.anchor is not None:
            return [
                (
                    bind(
                        "other",
                        pixel_word(
                            self.r, self.row, self.column + p, self.size.height, self.size.width, self.job.anchor
                        ),
                    ),
                )
                for p in range(cut.pixels)
            ]
        planes = [
            load(
                "other",
                self.r,
                [self.row + self.geometry.margin, first + block, self.column + SIDE],
                cut.pixels,
                cut.vector,
            )
            for first, _ in view.planes(0)
        ]
        return list(zip(*planes, strict=True))

    def store_words(self, codes: list[list[Any]]) -> None:
        """Packed words; right of the picture, the zero point."""
        blocks = self.cut.channels // PACK
        for b in range(blocks):
            block = self.part * blocks + b
            store_codes(
                self.y,
                codes[b * PACK : b * PACK + PACK],
                self.conv.target,
                self.conv.requantize.zero_point,
                (self.row + self.geometry.margin, block, self.column),
                self.size,
                self.cut.vector,
            )

    def vector(self, name: str, array: str) -> list[Any]:
        """A constant for each of the work-item's channels."""
        return load(name, self.vectors[array], [self.part, 0], self.cut.channels, self.cut.vector)


def spread(picture: Pixels, cut: Cut, y: Any, codes: list[list[Any]], place: tuple[Any, Any, Any], size: Size) -> None:
    """Depth-to-space of uint8 codes, by channel and pixel: a work-item's channels are whole rows of a pixel's bytes.

    Args:
        picture: how channels become pixels.
        cut: what the work-item computed.
        y: the picture.
        codes: its values.
        place: the work-item's part along z, its row and its first column.
        size: of the input.
    """
    part, row, column = place
    scale, channels = picture.scale, picture.channels
    rows = cut.channels // (scale * channels)
    for p in range(cut.pixels):
        with T.If(column + p < size.width), T.Then():
            for c in range(cut.channels):
                dy, dx, channel = c // (scale * channels), c // channels % scale, c % channels
                T.buffer_store(y, codes[c][p], [row * scale + part * rows + dy, (column + p) * scale + dx, channel])
