"""Functions that run kernels: one kernel on a whole tensor, or all kernels of a network in bands of rows.

Kernels are serial and work on windows of rows: ``kernel(operands..., constants..., rows, tiles, width, result)``. The
functions here cut the picture among the threads, and know where windows lie. What they take in the end is
``(operands..., constants..., height, tiles, width, result)``. Kernels that are placed
are told where they are, see `Call`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels import lines
from toolchain.kernels.bands import Bands, StepBand
from toolchain.kernels.function import function, int64
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Call, Picture, Stream, Tensor
from toolchain.kernels.sizes import PIXEL, Sizes, constants_of, is_spread, times, view_of


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
        sizes = Sizes(geometry)
        at = [
            Sizes(geometry, PIXEL) if is_spread(operand, result) else sizes.at(Fraction(read.stride))
            for operand, read in zip(operands, call.step.reads, strict=True)
        ]
        sources = [own.argument(f"x{index}", what) for index, (own, what) in enumerate(zip(at, operands, strict=True))]
        constants = constants_of(call, "c")
        sizes.declare()
        scale, margin = call.step.scale, geometry.margin
        made = sizes.at(Fraction(scale if isinstance(result, Tensor) else 1))
        y = made.argument("y", result)
        if isinstance(result, Tensor) and call.view is not None:
            made.fill_ends(y, result, call.view)
        threads = sizes.threads()
        with T.parallel(0, threads) as thread:
            first, last = sizes.cut(thread, threads)
            rows = last - first
            if isinstance(result, Tensor) and call.view is not None:
                made.fill_sides(y, first * scale + margin, rows * scale, result, call.view)
            with T.If(last > first), T.Then():
                windows = [
                    own.window(source, operand, int64(margin), 1)
                    if is_spread(operand, result)
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
    """Run a network, or a segment of one, in bands of rows, see `toolchain.kernels.bands`: ``(pixels, tensors that are
    read, constants of all kernels in order..., height, tiles, width, tensors that are changed, tensors that are made,
    picture)``, of pictures and tensors those that there are.
    """
    plan = network.plan()
    unit, fewest, most = network.rows(plan)
    with IRBuilder() as builder, function("driver"):
        sizes = Sizes(network.geometry)
        x = None if network.source is None else sizes.argument("x", network.source)

        def stored(*roles: str) -> dict[int, Any]:
            return {
                number: sizes.of(plan.rates[number]).argument(f"t{number}", network.tensors[number])
                for number in network.stored(*roles)
            }

        given = stored("read")
        constants = [constants_of(call, f"c{index}_") for index, call in enumerate(network.calls)]
        sizes.declare()
        given |= stored("changed", "made")
        y = None if network.result is None else sizes.at(plan.steps[-1].rate).argument("y", network.result)
        sizes.name(sorted({*plan.rates, *(band.rate for band in plan.steps)} - {Fraction(0)}))
        row_bytes, kept_bytes = network.bytes(plan, lambda rate: sizes.at(rate).pitch)
        fitting = (int64(network.cache) - kept_bytes) // row_bytes if len(given) < len(network.tensors) else most
        rows = T.bind(tirx.max(tirx.min(fitting, int64(most)), int64(fewest)) * unit)
        written = [(call.step.writes, call.view) for call in network.calls if call.step.writes in given and call.view]
        for number, view in written:
            sizes.of(plan.rates[number]).fill_ends(given[number], network.tensors[number], view)
        threads = sizes.threads()
        with T.parallel(0, threads) as thread:
            first, last = sizes.cut(thread, threads, plan.unit)
            for number, view in written:
                begin, end = (times(row, plan.rates[number]) for row in (first, last))
                start, own = begin + network.geometry.margin, sizes.of(plan.rates[number])
                own.fill_sides(given[number], start, end - begin, network.tensors[number], view)
            part = _Part(network, plan, sizes, (x, y), given, (first, last), rows)
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
        stored: the buffers of tensors that are whole, by their numbers.
        cut: the part's first row, and the row after it.
        rows: of a band; rows of the picture, as those of ``cut``.
    """

    def __init__(
        self,
        network: Stream,
        plan: Bands,
        sizes: Sizes,
        pictures: tuple[Any, Any],
        stored: Mapping[int, Any],
        cut: tuple[Any, Any],
        rows: Any,
    ) -> None:
        self.network, self.plan, self.sizes = network, plan, sizes
        self.pictures, self.stored, self.cut, self.rows = pictures, stored, cut, rows
        self.lines = {
            number: T.alloc_buffer(
                sizes.geometry.window(
                    tensor.blocks, times(rows, plan.rates[number]) + plan.history[number], self._at(number).tiles
                ),
                tensor.dtype,
            )
            for number, tensor in enumerate(network.tensors)
            if number not in stored
        }

    def clear(self) -> None:
        """Fill the line buffers with what surrounds the picture."""
        for number, line in self.lines.items():
            tensor = self.network.tensors[number]
            rows = times(self.rows, self.plan.rates[number]) + self.plan.history[number]
            self._at(number).fill_rows(line, 0, rows, tensor, tensor.view)
            # TVM makes buffers as small as what is seen to be accessed: the first word and the last.
            for place in ([0, 0, 0], [size - 1 for size in line.shape]):
                T.buffer_store(line, line[tuple(place)], place)

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
                    assert self.network.source is not None  # or nothing would read it
                    windows.append(sizes.window(self.pictures[0], self.network.source, first, count))
                    continue
                rows, place = (count - 1) * read.stride + (1 + read.above + read.below), skipped * read.stride + start
                if read.buffer in self.stored:
                    place = first * read.stride + (sizes.geometry.margin - read.above)
                    if self.network.tensors[read.buffer].single:
                        place, rows = int64(sizes.geometry.margin), 1
                windows.append(self._window(read.buffer, place, rows))
            if step.writes is None:
                assert self.network.result is not None  # or nothing would write it
                target = sizes.window(self.pictures[1], self.network.result, first, count)
            elif step.writes in self.stored:
                target = self._window(step.writes, first * step.scale + sizes.geometry.margin, count * step.scale)
            else:
                target = self._window(step.writes, skipped * step.scale + band.offset, count * step.scale)
            sizes.call(call, windows, constants, first, count, target)
        if step.writes in self.lines and call.view is not None and self.plan.history[step.writes]:
            # Below the picture, later windows find the zero point, not what the band before left there.
            made, rows = self._at(step.writes), times(self.rows, self.plan.rates[step.writes])
            below = T.bind(tirx.max(tirx.min(made.height - top * step.scale, rows), int64(0)))
            with T.If(below < rows), T.Then():
                line, tensor = self.lines[step.writes], self.network.tensors[step.writes]
                made.fill_rows(line, below + band.offset, rows - below, tensor, call.view)

    def keep(self) -> None:
        """Move the rows that the next band still reads to where it looks for them."""
        for number, line in self.lines.items():
            history, rows = self.plan.history[number], times(self.rows, self.plan.rates[number])
            if history:
                shape = (rows + history, *line.shape[1:])
                lines.call(lines.KEEP, str(line.dtype), view_of(line, 0, shape), int64(history))

    def _at(self, number: int) -> Sizes:
        return self.sizes.of(self.plan.rates[number])

    def _window(self, number: int, start: Any, rows: Any) -> Any:
        buffer = self.stored[number] if number in self.stored else self.lines[number]
        return self._at(number).window(buffer, self.network.tensors[number], start, rows)
