"""Functions that run kernels: one kernel on a whole tensor, or all kernels of a network in bands of rows.

Kernels are serial and work on windows of rows: ``kernel(operands..., constants..., rows, tiles, width, result)``. The
functions here cut the picture among the threads, and know where windows lie. What they take in the end is
``(operands..., constants..., height, tiles, width, result)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.bands import Bands, Step, StepBand, plan_bands
from toolchain.kernels.epilogue import outside_word
from toolchain.kernels.function import declare, function, int64
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import View
from toolchain.targets import CACHE

FEWEST, MOST = 2, 32
"""Rows of a band: fewer are all overhead, more gain nothing."""

SHORTEST = 16
"""Rows of the picture that are worth a thread."""


@dataclass(frozen=True)
class Tensor:
    """A packed tensor: its blocks, the zero point that surrounds the picture, and the type of its words; where these
    are floats, the zero point is 0. ``wide``: its codes have 16 bits, see `toolchain.kernels.layout`.
    """

    blocks: int
    zero_point: int
    dtype: str = "uint32"
    wide: bool = False

    @property
    def view(self) -> View:
        """All of it."""
        return View(self.blocks, 0, self.blocks // 2 if self.wide else self.blocks, self.wide)


@dataclass(frozen=True)
class Picture:
    """Pixels uint8 (height * scale, width * scale, channels)."""

    channels: int
    scale: int = 1


@dataclass(frozen=True)
class Needs:
    """What a kernel wants of those who call it.

    Attributes:
        rows: it computes so many rows at a time: other numbers of rows waste some.
        workspace: bytes of memory that a call takes for itself.
        further: pixels beyond those that an output depends on which its rounding depends on.
    """

    rows: int = 1
    workspace: int = 0
    further: int = 0

    @staticmethod
    def all(several: Iterable[Needs]) -> Needs:
        """Return what kernels want that run one after the other."""
        found = list(several)
        return Needs(
            math.lcm(*(one.rows for one in found)),
            max((one.workspace for one in found), default=0),
            sum(one.further for one in found),
        )


NOTHING = Needs()


@dataclass(frozen=True)
class Call:
    """A kernel with what it is given.

    Attributes:
        kernel: global symbol of its function.
        step: its operands and its result.
        constants: shape and element type of each of its arrays.
        view: the blocks of the result that it writes; None where that is a picture.
    """

    kernel: str
    step: Step
    constants: tuple[tuple[tuple[int, ...], str], ...]
    view: View | None


@dataclass(frozen=True)
class Stream:
    """A network that runs in bands of rows.

    Attributes:
        calls: the kernels in order; the last writes the picture.
        tensors: what is between them, by the numbers of the steps' buffers.
        source: the picture that comes in.
        result: the picture that goes out.
        geometry: of the tensors, of which there are line buffers only, without a margin of rows.
        cache: bytes of line buffers that a thread aims at.
        needs: what the kernels want.
    """

    calls: tuple[Call, ...]
    tensors: tuple[Tensor, ...]
    source: Picture
    result: Picture
    geometry: Geometry
    cache: int = CACHE
    needs: Needs = NOTHING

    def plan(self) -> Bands:
        """Return which rows are computed when."""
        return plan_bands([call.step for call in self.calls], len(self.tensors))

    def workspace(self, width: int) -> int:
        """Return bytes that every thread needs for line buffers, and its kernels beside, for a picture of ``width``
        pixels.
        """
        pitch: int = self.geometry.window(1, 1, self.geometry.tiles(width))[2]
        row, kept = self.bytes(self.plan())
        fewest, most = self.rows
        fitting = (self.cache - pitch * kept) // (pitch * row) // self.needs.rows * self.needs.rows
        return pitch * (row * max(min(fitting, most), fewest) + kept) + self.needs.workspace

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of a band, at least and at most: multiples of what the kernels compute at a time."""
        step = self.needs.rows
        return max(FEWEST, step), max(MOST // step, 1) * step

    def bytes(self, plan: Bands) -> tuple[int, int]:
        """Return bytes a column of all line buffers per row of a band, and of all the rows that are kept
        between bands.
        """
        sizes = [tensor.blocks * np.dtype(tensor.dtype).itemsize for tensor in self.tensors]
        return sum(sizes), sum(size * kept for size, kept in zip(sizes, plan.history, strict=True))


def whole(
    call: Call, operands: Sequence[Tensor | Picture], result: Tensor | Picture, geometry: Geometry
) -> tirx.PrimFunc:
    """Run one kernel on whole tensors with margins, in parallel; what surrounds the result is filled.

    Args:
        call: the kernel; the numbers of its buffers do not matter.
        operands: what it reads, in the order of its arguments.
        result: what it writes.
        geometry: of the tensors.
    """
    with IRBuilder() as builder, function("driver"):
        sizes = _Sizes(geometry)
        sources = [sizes.argument(f"x{index}", operand) for index, operand in enumerate(operands)]
        constants = _constants(call, "c")
        sizes.declare()
        y = sizes.argument("y", result)
        margin = geometry.margin
        if isinstance(result, Tensor) and call.view is not None:
            with T.serial(0, 2 * margin) as i:
                row = tirx.Select(i < margin, tirx.Cast("int64", i), i + sizes.height)
                sizes.fill(y, row, result, call.view)
        threads = sizes.threads()
        with T.parallel(0, threads) as thread:
            first, last = sizes.cut(thread, threads)
            if isinstance(result, Tensor) and call.view is not None:
                sizes.fill_sides(y, first + margin, last - first, result, call.view)
            with T.If(last > first), T.Then():
                rows = last - first
                windows = [
                    sizes.window(
                        source,
                        operand,
                        first if isinstance(operand, Picture) else first + (margin - read.above),
                        rows + (read.above + read.below),
                    )
                    for source, operand, read in zip(sources, operands, call.step.reads, strict=True)
                ]
                target = first if isinstance(result, Picture) else first + margin
                sizes.call(call, windows, constants, rows, sizes.window(y, result, target, rows))
    return builder.get()


def stream(network: Stream) -> tirx.PrimFunc:
    """Run a network in bands of rows, see `toolchain.kernels.bands`: ``(pixels, constants of all kernels in order...,
    height, tiles, width, picture)``.
    """
    plan = network.plan()
    row_bytes, kept_bytes = network.bytes(plan)
    with IRBuilder() as builder, function("driver"):
        sizes = _Sizes(network.geometry)
        x = sizes.argument("x", network.source)
        constants = [_constants(call, f"c{index}_") for index, call in enumerate(network.calls)]
        sizes.declare()
        y = sizes.argument("y", network.result)
        fewest, most = map(int64, network.rows)
        fitting = (int64(network.cache) - sizes.pitch * kept_bytes) // (sizes.pitch * row_bytes)
        if network.needs.rows > 1:
            fitting = fitting // network.needs.rows * network.needs.rows
        rows = T.bind(tirx.max(tirx.min(fitting, most), fewest))
        threads = sizes.threads()
        with T.parallel(0, threads) as thread:
            first, last = sizes.cut(thread, threads)
            part = _Part(network, plan.history, sizes, (x, y), (first, last), rows)
            part.clear()
            count = (last - first + (plan.lead + plan.tail) + rows - 1) // rows
            with T.serial(0, count) as number:
                front = T.bind(first - plan.lead + number * rows)
                for call, band, arrays in zip(network.calls, plan.steps, constants, strict=True):
                    part.run(call, band, arrays, front - band.lag)
                part.keep()
    return builder.get()


class _Part:
    """A thread's part of the picture, and its line buffers: of every tensor the rows that are kept between bands, and
    after them those of a band.

    Args:
        network: what is run.
        history: rows of each tensor that are kept.
        sizes: of the picture.
        pictures: buffers of the one that is read and of the one that is written.
        cut: the part's first row, and the row after it.
        rows: of a band.
    """

    def __init__(
        self,
        network: Stream,
        history: Sequence[int],
        sizes: _Sizes,
        pictures: tuple[Any, Any],
        cut: tuple[Any, Any],
        rows: Any,
    ) -> None:
        self.network, self.history, self.sizes = network, history, sizes
        self.pictures, self.cut, self.rows = pictures, cut, rows
        self.lines = [
            T.alloc_buffer(sizes.geometry.window(tensor.blocks, rows + kept, sizes.tiles), tensor.dtype)
            for tensor, kept in zip(network.tensors, history, strict=True)
        ]

    def clear(self) -> None:
        """Fill the line buffers with what surrounds the picture."""
        for line, tensor, kept in zip(self.lines, self.network.tensors, self.history, strict=True):
            with T.serial(0, self.rows + kept) as row:
                self.sizes.fill(line, row, tensor, tensor.view)

    def run(self, call: Call, band: StepBand, constants: Sequence[Any], top: Any) -> None:
        """Run a kernel on its band: rows from ``top`` on that lie within the picture and are needed for the cut."""
        step, sizes, top = call.step, self.sizes, T.bind(top)
        first = T.bind(tirx.max(top, tirx.max(self.cut[0] - band.up, int64(0))))
        last = T.bind(tirx.min(top + self.rows, tirx.min(self.cut[1] + band.down, sizes.height)))
        count, skipped = last - first, first - top
        with T.If(last > first), T.Then():
            windows = []
            for read, start in zip(step.reads, band.starts, strict=True):
                if read.buffer is None:
                    windows.append(sizes.window(self.pictures[0], self.network.source, first, count))
                else:
                    windows.append(self._window(read.buffer, skipped + start, count + (read.above + read.below)))
            if step.writes is None:
                target = sizes.window(self.pictures[1], self.network.result, first, count)
            else:
                target = self._window(step.writes, skipped + band.offset, count)
            sizes.call(call, windows, constants, count, target)
        if step.writes is not None and call.view is not None and self.history[step.writes]:
            # Below the picture, later windows find the zero point, not what the band before left there.
            below = T.bind(tirx.max(tirx.min(sizes.height - top, self.rows), int64(0)))
            with T.serial(0, self.rows - below) as row:
                place = below + row + band.offset
                sizes.fill(self.lines[step.writes], place, self.network.tensors[step.writes], call.view)

    def keep(self) -> None:
        """Move the rows that the next band still reads to where it looks for them."""
        for line, tensor, kept in zip(self.lines, self.network.tensors, self.history, strict=True):
            with T.grid(kept, tensor.blocks, self.sizes.pitch) as (r, b, v):
                T.buffer_store(line, line[r + self.rows, b, v], [r, b, v])

    def _window(self, buffer: int, start: Any, rows: Any) -> Any:
        return self.sizes.window(self.lines[buffer], self.network.tensors[buffer], start, rows)


class _Sizes:
    """The picture's size as variables of a function, and what follows from it."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.height, self.tiles, self.width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
        self.pitch = geometry.window(1, 1, self.tiles)[2]

    def declare(self) -> None:
        """Make the sizes arguments of the function, here."""
        declare(self.height, self.tiles, self.width)

    def argument(self, name: str, what: Tensor | Picture) -> Any:
        """Return a tensor with margins, or a picture, as an argument of the function."""
        if isinstance(what, Tensor):
            return T.arg(name, T.Buffer(self.geometry.shape(what.blocks, self.height, self.tiles), what.dtype))
        return T.arg(name, T.Buffer((self.height * what.scale, self.width * what.scale, what.channels), "uint8"))

    def fill(self, buffer: Any, row: Any, tensor: Tensor, view: View) -> None:
        """Write what surrounds the picture to all words of a row."""
        for first, count, word in self._outside(tensor, view):
            with T.grid(count, self.pitch) as (b, v):
                T.buffer_store(buffer, word, [row, first + b, v])

    def fill_sides(self, buffer: Any, start: Any, rows: Any, tensor: Tensor, view: View) -> None:
        """Write what surrounds the picture to the words left and right of the columns of ``rows`` rows."""
        margin = self.geometry.margin
        for first, count, word in self._outside(tensor, view):
            with T.grid(rows, count, margin) as (r, b, v):
                for column in (v + (SIDE - margin), v + (self.pitch - SIDE)):
                    T.buffer_store(buffer, word, [start + r, first + b, column])

    def _outside(self, tensor: Tensor, view: View) -> list[tuple[int, int, Any]]:
        """First block, number of blocks, and the word that surrounds the picture in them, of the blocks of ``view``."""
        if tensor.dtype != "uint32":
            return [(view.start, view.count, tirx.const(0.0, tensor.dtype))]
        planes = view.planes(tensor.zero_point)
        return [(first, view.count, outside_word(zero, self.geometry.offset)) for first, zero in planes]

    def threads(self) -> Any:
        """Threads to cut the picture for."""
        pool = tirx.Cast("int64", tirx.call_intrin("int32", "tirx.tvm_call_packed", "runtime.NumThreads"))
        return T.bind(tirx.min(pool, tirx.max(self.height // SHORTEST, int64(1))))

    def cut(self, thread: Any, threads: Any) -> tuple[Any, Any]:
        """Return the first row of a thread's part of the picture, and the row after it."""
        return T.bind(self.height * thread // threads), T.bind(self.height * (thread + 1) // threads)

    def window(self, buffer: Any, what: Tensor | Picture, start: Any, rows: Any) -> Any:
        """``rows`` rows of a buffer from row ``start`` on, as an argument for a kernel; of a picture, rows of the
        input to which they belong.
        """
        if isinstance(what, Tensor):
            return _view(buffer, start, (rows, what.blocks, self.pitch))
        return _view(buffer, start * what.scale, (rows * what.scale, self.width * what.scale, what.channels))

    def call(self, call: Call, windows: Sequence[Any], constants: Sequence[Any], rows: Any, target: Any) -> None:
        """Call a kernel for ``rows`` rows."""
        arrays = [_view(array, 0, array.shape) for array in constants]
        T.evaluate(
            tirx.call_intrin(
                "int32", "tirx.tvm_call_cpacked", call.kernel, *windows, *arrays, rows, self.tiles, self.width, target
            )
        )


def _constants(call: Call, prefix: str) -> list[Any]:
    return [T.arg(f"{prefix}{index}", T.Buffer(shape, dtype)) for index, (shape, dtype) in enumerate(call.constants)]


def _view(buffer: Any, start: Any, shape: Sequence[Any]) -> Any:
    """Return a DLTensor on the stack. It points at row ``start`` itself: kernels do not look at a tensor's byte
    offset.
    """
    first = tirx.call_intrin("handle", "tirx.address_of", buffer[(start, *[0] * (len(shape) - 1))])
    return tirx.call_intrin(
        "handle",
        "tirx.tvm_stack_make_array",
        first,
        tirx.call_intrin("handle", "tirx.tvm_stack_make_shape", *shape),
        tirx.const(0, "uint64"),
        tirx.const(len(shape), "uint32"),
        tirx.const(0, buffer.dtype),
        int64(0),
    )
