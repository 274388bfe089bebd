"""Functions that run kernels: one kernel on a whole tensor, or all kernels of a network in bands of rows.

Kernels are serial and work on windows of rows: ``kernel(operands..., constants..., rows, tiles, width, result)``. The
functions here cut the picture among the threads, and know where windows lie. What they take in the end is
``(operands..., constants..., height, tiles, width, result)``. Kernels that are placed
are told where they are, see `Call`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.bands import Bands, StepBand
from toolchain.kernels.epilogue import outside_word
from toolchain.kernels.function import declare, function, int64
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.network import Call, Picture, Stream, Tensor
from toolchain.kernels.spec import View

SHORTEST = 16
"""Rows of the picture that are worth a thread."""


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
        at = [
            _Sizes(geometry, _PIXEL) if _is_spread(operand, result) else sizes.at(Fraction(read.stride))
            for operand, read in zip(operands, call.step.reads, strict=True)
        ]
        sources = [own.argument(f"x{index}", what) for index, (own, what) in enumerate(zip(at, operands, strict=True))]
        constants = _constants(call, "c")
        sizes.declare()
        scale, margin = call.step.scale, geometry.margin
        made = sizes.at(Fraction(scale if isinstance(result, Tensor) else 1))
        y = made.argument("y", result)
        if isinstance(result, Tensor) and call.view is not None:
            with T.serial(0, 2 * margin) as i:
                row = tirx.Select(i < margin, tirx.Cast("int64", i), i + made.height)
                made.fill(y, row, result, call.view)
        threads = sizes.threads()
        with T.parallel(0, threads) as thread:
            first, last = sizes.cut(thread, threads)
            rows = last - first
            if isinstance(result, Tensor) and call.view is not None:
                made.fill_sides(y, first * scale + margin, rows * scale, result, call.view)
            with T.If(last > first), T.Then():
                windows = [
                    own.window(source, operand, int64(margin), 1)
                    if _is_spread(operand, result)
                    else own.window(
                        source,
                        operand,
                        first if isinstance(operand, Picture) else first * read.stride + (margin - read.above),
                        (rows - 1) * read.stride + (1 + read.above + read.below),
                    )
                    for own, source, operand, read in zip(at, sources, operands, call.step.reads, strict=True)
                ]
                if isinstance(result, Picture):
                    target = sizes.window(y, result, first, rows)
                else:
                    target = made.window(y, result, first * scale + margin, rows * scale)
                sizes.call(call, windows, constants, first, rows, target)
    return builder.get()


def stream(network: Stream) -> tirx.PrimFunc:
    """Run a network in bands of rows, see `toolchain.kernels.bands`: ``(pixels, constants of all kernels in order...,
    height, tiles, width, picture)``.
    """
    plan = network.plan()
    unit, fewest, most = network.rows(plan)
    with IRBuilder() as builder, function("driver"):
        sizes = _Sizes(network.geometry)
        x = sizes.argument("x", network.source)
        constants = [_constants(call, f"c{index}_") for index, call in enumerate(network.calls)]
        sizes.declare()
        y = sizes.at(plan.steps[-1].rate).argument("y", network.result)
        row_bytes, kept_bytes = network.bytes(plan, lambda rate: sizes.at(rate).pitch)
        fitting = (int64(network.cache) - kept_bytes) // row_bytes
        rows = T.bind(tirx.max(tirx.min(fitting, int64(most)), int64(fewest)) * unit)
        threads = sizes.threads()
        with T.parallel(0, threads) as thread:
            first, last = sizes.cut(thread, threads, plan.unit)
            part = _Part(network, plan, sizes, (x, y), (first, last), rows)
            part.clear()
            count = (last - first + (plan.lead + plan.tail) + rows - 1) // rows
            with T.serial(0, count) as number:
                front = T.bind(first - plan.lead + number * rows)
                for call, band, arrays in zip(network.calls, plan.steps, constants, strict=True):
                    part.run(call, band, arrays, times(front, band.rate) - band.lag)
                part.keep()
    return builder.get()


class _Part:
    """A thread's part of the picture, and its line buffers: of every tensor the rows that are kept between bands, and
    after them those of a band.

    Args:
        network: what is run.
        plan: in which bands.
        sizes: of the picture.
        pictures: buffers of the one that is read and of the one that is written.
        cut: the part's first row, and the row after it.
        rows: of a band; rows of the picture, as those of ``cut``.
    """

    def __init__(
        self,
        network: Stream,
        plan: Bands,
        sizes: _Sizes,
        pictures: tuple[Any, Any],
        cut: tuple[Any, Any],
        rows: Any,
    ) -> None:
        self.network, self.plan, self.sizes = network, plan, sizes
        self.pictures, self.cut, self.rows = pictures, cut, rows
        self.lines = [
            T.alloc_buffer(
                sizes.geometry.window(tensor.blocks, times(rows, rate) + kept, sizes.at(rate).tiles), tensor.dtype
            )
            for tensor, rate, kept in zip(network.tensors, plan.rates, plan.history, strict=True)
        ]

    def clear(self) -> None:
        """Fill the line buffers with what surrounds the picture."""
        for buffer, (line, tensor) in enumerate(zip(self.lines, self.network.tensors, strict=True)):
            rate = self.plan.rates[buffer]
            with T.serial(0, times(self.rows, rate) + self.plan.history[buffer]) as row:
                self.sizes.at(rate).fill(line, row, tensor, tensor.view)

    def run(self, call: Call, band: StepBand, constants: Sequence[Any], top: Any) -> None:
        """Run a kernel on its band: rows from ``top`` on that lie within the picture and are needed for the cut."""
        step, sizes, top = call.step, self.sizes.at(band.rate), T.bind(top)
        begin, end = (times(row, band.rate) for row in self.cut)
        first = T.bind(tirx.max(top, tirx.max(begin - band.up, int64(0))))
        last = T.bind(tirx.min(top + times(self.rows, band.rate), tirx.min(end + band.down, sizes.height)))
        count, skipped = last - first, first - top
        with T.If(last > first), T.Then():
            windows = []
            for read, start in zip(step.reads, band.starts, strict=True):
                if read.buffer is None:
                    windows.append(sizes.window(self.pictures[0], self.network.source, first, count))
                else:
                    place, rows = skipped * read.stride + start, (count - 1) * read.stride + 1
                    windows.append(self._window(read.buffer, place, rows + (read.above + read.below)))
            if step.writes is None:
                target = sizes.window(self.pictures[1], self.network.result, first, count)
            else:
                target = self._window(step.writes, skipped * step.scale + band.offset, count * step.scale)
            sizes.call(call, windows, constants, first, count, target)
        if step.writes is not None and call.view is not None and self.plan.history[step.writes]:
            # Below the picture, later windows find the zero point, not what the band before left there.
            rate, scale = self.plan.rates[step.writes], step.scale
            made, rows = self.sizes.at(rate), times(self.rows, rate)
            below = T.bind(tirx.max(tirx.min(made.height - top * scale, rows), int64(0)))
            with T.serial(0, rows - below) as row:
                place = below + row + band.offset
                made.fill(self.lines[step.writes], place, self.network.tensors[step.writes], call.view)

    def keep(self) -> None:
        """Move the rows that the next band still reads to where it looks for them."""
        for buffer, (line, tensor) in enumerate(zip(self.lines, self.network.tensors, strict=True)):
            rate = self.plan.rates[buffer]
            with T.grid(self.plan.history[buffer], tensor.blocks, self.sizes.at(rate).pitch) as (r, b, v):
                T.buffer_store(line, line[r + times(self.rows, rate), b, v], [r, b, v])

    def _window(self, buffer: int, start: Any, rows: Any) -> Any:
        sizes = self.sizes.at(self.plan.rates[buffer])
        return sizes.window(self.lines[buffer], self.network.tensors[buffer], start, rows)


class _Sizes:
    """The size of a picture, or of a tensor at another rate, as TVM expressions, and what follows from it."""

    def __init__(self, geometry: Geometry, sizes: tuple[Any, Any, Any] | None = None) -> None:
        """``sizes``: height, tiles and width; else they are variables of their own."""
        self.geometry = geometry
        self.height, self.tiles, self.width = sizes or (
            tirx.Var(name, "int64") for name in ("height", "tiles", "width")
        )
        self.pitch = geometry.pitch(self.tiles)

    def at(self, rate: Fraction) -> _Sizes:
        """Return the sizes of a tensor that has ``rate`` rows for each of these, and as many columns."""
        if rate == 1:
            return self
        height, width = times(self.height, rate), times(self.width, rate)
        tiles = tirx.floordiv(width + (self.geometry.columns - 1), self.geometry.columns)
        return _Sizes(self.geometry, (height, tiles, width))

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
        # Codes of 8 bits among those of 16 are high bytes.
        planes = view.planes(tensor.zero_point >> 8 if tensor.wide and not view.wide else tensor.zero_point)
        return [(first, view.count, outside_word(zero, self.geometry.offset)) for first, zero in planes]

    def threads(self) -> Any:
        """Threads to cut the picture for."""
        pool = tirx.Cast("int64", tirx.call_intrin("int32", "tirx.tvm_call_packed", "runtime.NumThreads"))
        return T.bind(tirx.min(pool, tirx.max(self.height // SHORTEST, int64(1))))

    def cut(self, thread: Any, threads: Any, unit: int = 1) -> tuple[Any, Any]:
        """Return the first row of a thread's part of the picture, and the row after it: multiples of ``unit``."""
        count = self.height // unit
        first, last = (count * number // threads * unit for number in (thread, thread + 1))
        return T.bind(first), T.bind(last)

    def window(self, buffer: Any, what: Tensor | Picture, start: Any, rows: Any) -> Any:
        """``rows`` rows of a buffer from row ``start`` on, as an argument for a kernel; of a picture, rows of the
        input to which they belong.
        """
        if isinstance(what, Tensor):
            return _view(buffer, start, (rows, what.blocks, self.pitch))
        return _view(buffer, start * what.scale, (rows * what.scale, self.width * what.scale, what.channels))

    def call(
        self, call: Call, windows: Sequence[Any], constants: Sequence[Any], first: Any, rows: Any, target: Any
    ) -> None:
        """Call a kernel for ``rows`` rows from ``first`` on."""
        place = [first, self.height] if call.placed else []
        arguments = (*windows, *(_view(array, 0, array.shape) for array in constants), *place, rows)
        T.evaluate(
            tirx.call_intrin("int32", "tirx.tvm_call_cpacked", call.kernel, *arguments, self.tiles, self.width, target)
        )


_PIXEL = (1, 1, 1)
"""Height, tiles and width of a tensor of a single pixel."""


def _is_spread(operand: Tensor | Picture, result: Tensor | Picture) -> bool:
    """Whether the single pixel of an operand goes with every pixel of a result that has more."""
    one, other = (isinstance(what, Tensor) and what.single for what in (operand, result))
    return one and not other


def times(rows: Any, rate: Fraction) -> Any:
    """Return rows at another rate; whole ones come out whole."""
    grown = rows if rate.numerator == 1 else rows * rate.numerator
    return grown if rate.denominator == 1 else grown // rate.denominator


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
