"""The convolution template for OpenCL: one work-item computes some neighbouring pixels of some output channels.

Everything of a convolution is one launch: padding, sums, bias, the stages that follow, residual, and at the network's
ends the pictures themselves, with depth-to-space. Padding is read from memory as in the CPU's kernels
(`toolchain.kernels.layout`), or by clamped coordinates where the source is the picture. There is no local memory: on
Mali it is main memory, and what neighbours share lies in the cache.

Weights are ordered so that a work-item reads its own one after the other, several a load.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.job import Job, slots_of
from toolchain.backends.opencl.primitives import OPERANDS, Size, item, load, number, private, threads
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import Addend, Conv, DepthToSpace

Rows = list[list[Any]]
"""Numbers of a work-item, channel by channel and pixel by pixel."""


AnyConv = TypeVar("AnyConv", Conv, FloatConv)


class ConvKernel(ABC, Generic[AnyConv]):
    """Writes one kernel: its arguments first, then what a work-item does.

    Args:
        job: the kernel.
        conv: what it computes.
        geometry: of packed tensors; its columns are a multiple of the cut's pixels.
        cut: how.
        weights: type of an element of the weights.
        vectors: names and types of the other constants, a number for each output channel.
    """

    sum: ClassVar[str]
    """Type of a sum."""
    names: ClassVar[tuple[str, str, str]]
    """What a block, its elements in a row and the weights of a tap are called in the code."""

    def __init__(
        self, job: Job, conv: AnyConv, geometry: Geometry, cut: LaunchConfig, weights: str, vectors: Mapping[str, str]
    ) -> None:
        dtype = job.dtype
        self.conv: AnyConv = conv
        self.job, self.geometry, self.cut = job, geometry, cut
        self.depth = len(job.order) // cut.channels
        self.size = Size()
        self.x = self.size.operand("x", conv.source.total, geometry, job.picture, dtype=dtype)
        self.others = [
            self.size.operand(name, other.view.total, geometry, anchor, 0 if other.single else 1, dtype=dtype)
            for name, (other, anchor) in zip(OPERANDS[1:], job.others, strict=False)
        ]
        self.weights = T.arg("weights", T.Buffer((self.depth, job.inputs, *conv.kernel, cut.channels), weights))
        self.vectors = {name: T.arg(name, T.Buffer((self.depth, cut.channels), kind)) for name, kind in vectors.items()}
        self.slopes = [name for name in vectors if name.startswith("slopes")]
        self.size.declare()
        self.y = (
            self.size.operand("y", conv.target.total, geometry, None, dtype=dtype)
            if conv.pixels is None
            else self.size.operand("y", 0, geometry, conv.pixels.channels, conv.pixels.scale)
        )

    def write(self) -> None:
        """Write the function's body."""
        cut, size = self.cut, self.size
        with threads(((size.width + cut.pixels - 1) // cut.pixels, size.height, self.depth), cut.group):
            self.column, self.row, self.part = item("column", 0, cut.pixels), item("row", 1, 1), item("part", 2, 1)
            inside = tirx.all(self.column < size.width, self.row < size.height, self.part < self.depth)
            with T.If(inside), T.Then():
                results = self.results(self._sums())
                if self.conv.pixels is None:
                    self.store(results)
                else:
                    codes = [[self.pixel(value) for value in row] for row in results]
                    _spread(self.conv.pixels, cut, self.y, codes, (self.part, self.row, self.column), size)

    # -- what arithmetic supplies --------------------------------------------------------------------------------

    @abstractmethod
    def read(self, name: str, buffer: Any, place: tuple[Any, Any, Any], count: int, picture: int | None) -> list[Any]:
        """``count`` neighbouring elements of a packed tensor, or of a picture of so many channels.

        ``place``: row of the picture, block of the tensor, column of the picture.
        """

    @abstractmethod
    def product(self, total: Any, element: Any, tap: Any) -> Any:
        """Return a sum and the product of an element of the source and one of the weights."""

    @abstractmethod
    def results(self, sums: Rows) -> Rows:
        """Return what becomes of the sums."""

    @abstractmethod
    def store(self, results: Rows) -> None:
        """Write a packed tensor."""

    @abstractmethod
    def pixel(self, result: Any) -> Any:
        """Return a pixel's uint8."""

    # -- what they share -----------------------------------------------------------------------------------------

    def vector(self, name: str, array: str) -> list[Any]:
        """Return a constant for each of the work-item's channels."""
        return load(name, self.vectors[array], [self.part, 0], self.cut.channels, self.cut.vector)

    def slot(self, other: Addend, c: int) -> Any:
        """Return the channel of what else is read for the work-item's channel ``c``: a number where it is the same for
        all along z.
        """
        if self.conv.pixels is not None or self.depth == 1:
            return slots_of(self.job.order, other)[c]
        channel = tirx.floordiv(self.part * self.cut.channels + c, other.divide)
        return tirx.floormod(channel, other.modulo)

    def _sums(self) -> Rows:
        """Return the bias, and the products of all taps. Of codes of 16 bits, the sums over high bytes come first, and
        count 256 times.
        """
        source, cut = self.conv.source, self.cut
        sums = private("sum", cut.channels * cut.pixels, self.sum)
        places = [(c, c * cut.pixels + p) for c in range(cut.channels) for p in range(cut.pixels)]
        if source.wide:
            for _, place in places:
                T.buffer_store(sums, number(0), [place])
            self._add_products(sums, source.start, self.job.inputs)
        starts = self.vector("start", "bias")
        for c, place in places:
            T.buffer_store(sums, sums[place] * 256 + starts[c] if source.wide else starts[c], [place])
        if source.wide:
            self._add_products(sums, source.low, self.job.low_inputs)
        else:
            self._add_products(sums, source.start, self.job.inputs)
        return [[sums[c * cut.pixels + p] for p in range(cut.pixels)] for c in range(cut.channels)]

    def _add_products(self, sums: Any, start: int, count: int) -> None:
        """Add the products of all taps with ``count`` elements of a group, which lie from block ``start`` on."""
        conv, cut = self.conv, self.cut
        (inputs, elements, weights), rows = self.names, T.unroll if cut.unroll else T.serial
        with T.serial(0, count) as k, rows(0, conv.kernel[0]) as i:
            IRBuilder.name(inputs, k)
            IRBuilder.name("tap_row", i)
            block = self._input(start, k)
            for found, taps in self._windows(elements, block, i):
                for j, place in taps:
                    weight = load(weights, self.weights, [self.part, k, i, j, 0], cut.channels, cut.vector)
                    for c, tap_weight in enumerate(weight):
                        for p in range(cut.pixels):
                            total = c * cut.pixels + p
                            product = self.product(sums[total], found[p + place], tap_weight)
                            T.buffer_store(sums, product, [total])

    def _windows(self, name: str, block: Any, i: Any) -> Iterator[tuple[list[Any], list[tuple[int, int]]]]:
        """Yield elements of a row of the source, and the taps of row ``i`` that meet them: their number, and how many
        elements they lie beyond the first.
        """
        conv, job = self.conv, self.job
        row, column = self.row - conv.above[0], self.column - conv.above[1]
        if conv.stride == (1, 1):
            place = row + i * conv.dilation[0], block, column
            found = self.read(name, self.x, place, self.cut.pixels + job.window, job.picture)
            yield found, [(j, j * conv.dilation[1]) for j in range(conv.kernel[1])]
            return
        down, across = conv.stride
        places = [j * conv.dilation[1] + conv.above[1] * across - conv.pads[1] for j in range(conv.kernel[1])]
        from_top = i * conv.dilation[0] + (conv.above[0] * down - conv.pads[0])
        for phase in sorted({place % across for place in places}):
            taps = [(j, place // across) for j, place in enumerate(places) if place % across == phase]
            first, last = taps[0][1], taps[-1][1]
            place = (
                row + tirx.floordiv(from_top, down),
                block + (tirx.floormod(from_top, down) * across + phase),
                column + first,
            )
            found = self.read(name, self.x, place, self.cut.pixels + last - first, job.picture)
            yield found, [(j, beyond - first) for j, beyond in taps]

    def _input(self, start: int, k: Any) -> Any:
        """Return the block of the ``k``-th input of the group that is computed."""
        if self.conv.groups > 1 and not self.job.dense:
            k = k + self.part // (self.conv.channels // self.conv.groups // self.cut.channels) * self.job.inputs
        return start + k * self.conv.phases


def _spread(
    picture: DepthToSpace, cut: LaunchConfig, y: Any, codes: list[list[Any]], place: tuple[Any, Any, Any], size: Size
) -> None:
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
