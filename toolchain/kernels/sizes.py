"""Sizes of a picture and of tensors in TVM expressions: what a driver's arguments and windows follow from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels import lines
from toolchain.kernels.epilogue import outside_word
from toolchain.kernels.function import declare, int64
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.network import Call, Picture, Tensor
from toolchain.kernels.spec import View

SHORTEST = 16
"""Rows of the picture that are worth a thread."""


class Sizes:
    """The size of a picture, or of a tensor at another rate, as TVM expressions, and what follows from it."""

    def __init__(self, geometry: Geometry, sizes: tuple[Any, Any, Any] | None = None) -> None:
        """``sizes``: height, tiles and width; else they are variables of their own."""
        self.geometry = geometry
        self.height, self.tiles, self.width = sizes or (
            tirx.Var(name, "int64") for name in ("height", "tiles", "width")
        )
        self.pitch = geometry.pitch(self.tiles)
        self._named: dict[Fraction, Sizes] = {}

    def name(self, rates: Iterable[Fraction]) -> None:
        """Compute the sizes of tensors of ``rates`` here, once: TVM's passes are slow where they stand in full
        wherever they are used.
        """
        for rate in rates:
            given = self.at(rate)
            made = Sizes(self.geometry, (T.bind(given.height), T.bind(given.tiles), T.bind(given.width)))
            made.pitch = T.bind(made.pitch)
            self._named[rate] = made

    def at(self, rate: Fraction) -> Sizes:
        """Return the sizes of a tensor that has ``rate`` rows for each of these, and as many columns."""
        if rate in self._named:
            return self._named[rate]
        if rate == 1:
            return self
        height, width = times(self.height, rate), times(self.width, rate)
        tiles = tirx.floordiv(width + (self.geometry.columns - 1), self.geometry.columns)
        return Sizes(self.geometry, (height, tiles, width))

    def declare(self) -> None:
        """Make the sizes arguments of the function, here."""
        declare(self.height, self.tiles, self.width)

    def argument(self, name: str, what: Tensor | Picture) -> Any:
        """Return a tensor with margins, or a picture, as an argument of the function."""
        if isinstance(what, Tensor):
            return T.arg(name, T.Buffer(self.geometry.shape(what.blocks, self.height, self.tiles), what.dtype))
        return T.arg(name, T.Buffer((self.height * what.scale, self.width * what.scale, what.channels), "uint8"))

    def of(self, rate: Fraction) -> Sizes:
        """Return the sizes of a tensor of a rate; at 0 it has a single pixel."""
        return self.at(rate) if rate else Sizes(self.geometry, PIXEL)

    def fill_rows(self, buffer: Any, start: Any, rows: Any, tensor: Tensor, view: View) -> None:
        """Write what surrounds the picture to all words of ``rows`` rows from row ``start`` on, by a function of its
        own.
        """
        shape = rows, *buffer.shape[1:]
        for first, count, value in self._outside(tensor, view):
            number = int64(0 if tensor.dtype != "uint32" else int(value))
            lines.call(lines.FILL, tensor.dtype, view_of(buffer, start, shape), int64(first), int64(count), number)

    def fill_ends(self, buffer: Any, tensor: Tensor, view: View) -> None:
        """Write what surrounds the picture to the margins above and below it."""
        margin = self.geometry.margin
        with T.serial(0, 2 * margin) as i:
            row = tirx.Select(i < margin, tirx.Cast("int64", i), i + self.height)
            self.fill(buffer, row, tensor, view)

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
            return view_of(buffer, start, (rows, what.blocks, self.pitch))
        return view_of(buffer, start * what.scale, (rows * what.scale, self.width * what.scale, what.channels))

    def call(
        self, call: Call, windows: Sequence[Any], constants: Sequence[Any], first: Any, rows: Any, target: Any
    ) -> None:
        """Call a kernel for ``rows`` rows from ``first`` on."""
        place = [first, self.height] if call.placed else []
        arguments = (*windows, *(view_of(array, 0, array.shape) for array in constants), *place, rows)
        T.evaluate(
            tirx.call_intrin("int32", "tirx.tvm_call_cpacked", call.kernel, *arguments, self.tiles, self.width, target)
        )


PIXEL = (1, 1, 1)
"""Height, tiles and width of a tensor of a single pixel."""


def is_spread(operand: Tensor | Picture, result: Tensor | Picture) -> bool:
    """Whether the single pixel of an operand goes with every pixel of a result that has more."""
    one, other = (isinstance(what, Tensor) and what.single for what in (operand, result))
    return one and not other


def times(rows: Any, rate: Fraction) -> Any:
    """Return rows at another rate; whole ones come out whole."""
    grown = rows if rate.numerator == 1 else rows * rate.numerator
    return grown if rate.denominator == 1 else grown // rate.denominator


def constants_of(call: Call, prefix: str) -> list[Any]:
    """Make a kernel's arrays arguments of the function, here; returns them."""
    return [T.arg(f"{prefix}{index}", T.Buffer(shape, dtype)) for index, (shape, dtype) in enumerate(call.constants)]


def view_of(buffer: Any, start: Any, shape: Sequence[Any]) -> Any:
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
