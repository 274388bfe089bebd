"""OpenCL C in TVM's terms: the calls and the loads of which the kernels are made."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.launch import pieces
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Add, Bounds, Slopes, Stage, View

OPERANDS = ("x", "r", *(f"r{number}" for number in range(2, 9)))
"""What a kernel's operands are called, in order."""


class Size:
    """The picture's height and width in pixels, and the words of a row of a packed tensor, as arguments of a kernel:
    those of what it reads, or by other ``names`` of what it writes.
    """

    def __init__(self, names: Sequence[str] = ("height", "pitch", "width")) -> None:
        self.height, self.pitch, self.width = (tirx.Var(name, "int32") for name in names)

    def declare(self) -> None:
        """Make them arguments, here."""
        for var in (self.height, self.pitch, self.width):
            T.arg(var.name, var)

    def operand(
        self, name: str, blocks: int, geometry: Geometry, channels: int | None, scale: int = 1, *, dtype: str = "uint32"
    ) -> Any:
        """Return a packed tensor of so many blocks as an argument, or a picture of so many channels; enlarged, or of a
        single pixel where ``scale`` is 0.
        """
        if channels is None and not scale:
            return T.arg(name, T.Buffer(geometry.shape(blocks, 1, 1), dtype))
        if channels is None:
            return T.arg(
                name,
                T.Buffer(
                    (
                        self.height * scale + 2 * geometry.margin,
                        blocks,
                        self.pitch if scale == 1 else self._pitch(geometry, scale),
                    ),
                    dtype,
                ),
            )
        return T.arg(name, T.Buffer((self.height * scale, self.width * scale, channels), "uint8"))

    def _pitch(self, geometry: Geometry, scale: int) -> Any:
        """Words of a row of a packed tensor that is ``scale`` times as wide."""
        tiles = tirx.floordiv(self.width * scale + (geometry.columns - 1), geometry.columns)
        return tiles * geometry.columns + 2 * SIDE


def written() -> Size:
    """Return the size of what a kernel writes, where it is not that of what it reads."""
    return Size(("rows", "across", "columns"))


@contextmanager
def threads(items: tuple[Any, Any, int], group: tuple[int, int, int]) -> Iterator[None]:
    """Work-groups for so many work-items along x, y and z."""
    with ExitStack() as stack:
        for axis, total, size in zip("xyz", items, group, strict=True):
            stack.enter_context(T.launch_thread(f"blockIdx.{axis}", (total + size - 1) // size))
        for axis, size in zip("xyz", group, strict=True):
            stack.enter_context(T.launch_thread(f"threadIdx.{axis}", size))
        yield


def call(dtype: str, name: str, *arguments: Any) -> Any:
    """Return a function of the prelude or of OpenCL C, without side effects."""
    return tirx.call_pure_extern(dtype, name, *arguments)


def number(value: int) -> Any:
    """Return an int32 constant."""
    return tirx.const(value, "int32")


def real(value: float) -> Any:
    """Return a float32 constant with all its bits: TVM's C code prints seven digits only, one too few at times."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return tirx.const(value, "float32")
    (bits,) = struct.unpack("<i", struct.pack("<f", value))
    return call("float32", "as_float", number(bits))


def bind(name: str, value: Any) -> Any:
    """Return a named variable of the kernel."""
    var = T.bind(value)
    IRBuilder.name(name, var)
    return var


def keep(name: str, value: Any, dtype: str) -> Any:
    """Return a variable of the kernel that is computed once, as what is bound need not be: TVM puts expressions without
    side effects wherever their variable stands.
    """
    array = private(name, 1, dtype)
    T.buffer_store(array, value, [0])
    return array[0]


def item(name: str, axis: int, size: int) -> Any:
    """Return a named variable: the first of the ``size`` things along an axis of which this work-item takes care."""
    # Not declared as pure: TVM would put the expression wherever the variable stands.
    return bind(name, tirx.call_extern("int32", "item", axis, size))


def private(name: str, count: int, dtype: str) -> Any:
    """Return a named array of a work-item; indexed by constants only, it becomes registers."""
    array = T.alloc_buffer((count,), dtype, scope="local")
    IRBuilder.name(name, array)
    return array


def load(name: str, buffer: Any, index: Sequence[Any], count: int, vector: int = PACK) -> list[Any]:
    """``count`` neighbouring elements from ``index`` on, in loads of at most ``vector`` each; float16 as float32."""
    *outer, first = index
    half = str(buffer.dtype) == "float16"
    dtype, function = ("float32", "vload_half") if half else (str(buffer.dtype), "vload")
    elements: list[Any] = []
    for width in pieces(count, vector):
        element = buffer[(*outer, first + len(elements))]
        if width > 1:
            # By its name, as TVM replaces vector loads by single ones where it cannot prove that they are aligned.
            loaded = call(f"{dtype}x{width}", f"{function}{width}", number(0), tirx.address_of(element))
            together = bind(name, loaded)
            elements += [tirx.Shuffle([together], [number(lane)]) for lane in range(width)]
        else:
            if half:
                element = call("float32", function, number(0), tirx.address_of(element))
            elements.append(bind(name, element))
    return elements


def store(buffer: Any, index: Sequence[Any], values: Sequence[Any], vector: int = PACK) -> None:
    """Write neighbouring elements from ``index`` on, uint32 or float32, in vector stores of at most ``vector`` each;
    float32 as float16 where the buffer holds that.
    """
    *outer, first = index
    half = str(buffer.dtype) == "float16"
    function, kind, dtype = (
        ("vstore_half", "float", "float32")
        if half
        else ("vstore", {"uint32": "uint"}.get(str(buffer.dtype), "float"), str(buffer.dtype))
    )
    start = 0
    for width in pieces(len(values), vector):
        place = buffer[(*outer, first + start)]
        if width > 1:
            together = call(f"{dtype}x{width}", f"({kind}{width})", *values[start : start + width])
            T.evaluate(tirx.call_extern("void", f"{function}{width}", together, number(0), tirx.address_of(place)))
        elif half:
            T.evaluate(tirx.call_extern("void", function, values[start], number(0), tirx.address_of(place)))
        else:
            T.buffer_store(buffer, values[start], [*outer, first + start])
        start += width


def within(place: Any, size: Any) -> Any:
    """Return the nearest row, or column, of a picture of so many."""
    return tirx.max(tirx.min(place, size - 1), number(0))


def pixel_word(picture: Any, row: Any, column: Any, height: Any, width: Any, channels: int) -> Any:
    """Return the codes of a pixel as a word; outside of the picture, its zero point, which is 0."""
    inside = tirx.all(row >= 0, row < height, column >= 0, column < width)
    y, x = within(row, height), within(column, width)
    parts = [tirx.Cast("uint32", picture[y, x, channel]) for channel in range(channels)]
    parts += [tirx.const(0, "uint32")] * (PACK - channels)
    return choose(inside, call("uint32", "pack4", *parts), 0)


def code_of(planes: Sequence[Any], position: Any) -> Any:
    """Return the code at a position of words, of which there is one a plane: the code's, or its high and its low
    byte's.
    """
    high, *low = (call("uint32", "code_of", word, position) for word in planes)
    return high * tirx.const(256, "uint32") + low[0] if low else high


def store_codes(
    y: Any,
    codes: Sequence[Sequence[Any]],
    view: View,
    zero_point: int,
    place: tuple[Any, Any, Any],
    size: Size,
    vector: int = PACK,
) -> None:
    """Write the codes of four channels and some neighbouring pixels as words; right of the picture, the zero point.

    Args:
        y: the buffer.
        codes: of every channel, of every pixel.
        view: what they are a part of.
        zero_point: of it.
        place: row of the buffer, block of the view, column of the picture.
        size: of the picture.
        vector: words a store, at most.
    """
    row, block, column = place
    if view.wide:
        codes = [[bind("code", code) for code in channel] for channel in codes]
    for index, (first, zero) in enumerate(view.planes(zero_point)):
        words = []
        for p in range(len(codes[0])):
            parts = [channel[p] for channel in codes]
            if view.wide:
                parts = [
                    part & tirx.const(255, "uint32") if index else part >> tirx.const(8, "uint32") for part in parts
                ]
            word = call("uint32", "pack4", *parts)
            words.append(bind("word", choose(column + p < size.width, word, zero * 0x01010101)))
        store(y, [row, first + block, column + SIDE], words, vector)


def store_floats(y: Any, values: Sequence[Any], place: tuple[Any, Any, Any], size: Size, vector: int = PACK) -> None:
    """Write neighbouring values of a channel; right of the picture, zeros.

    Args:
        y: the buffer.
        values: of every pixel.
        place: row of the buffer, its channel, column of the picture.
        size: of the picture.
        vector: values a store, at most.
    """
    row, channel, column = place
    kept = [
        bind("result", call("float32", "select", real(0.0), value, tirx.Cast("int32", column + p < size.width)))
        for p, value in enumerate(values)
    ]
    store(y, [row, channel, column + SIDE], kept, vector)


def follow(values: Sequence[Any], stage: Stage, slope: Any = None, others: Sequence[Any] = ()) -> list[Any]:
    """Put neighbouring pixels of a channel through a stage.

    Args:
        values: of every pixel.
        stage: what is done.
        slope: of the channel, where the stage has slopes.
        others: of every pixel, where the stage adds them.
    """
    match stage:
        case Slopes():
            return [call("float32", "prelu", value, slope) for value in values]
        case Bounds(low, high):
            if low > -math.inf:
                values = [call("float32", "fmax", value, real(low)) for value in values]
            return [call("float32", "fmin", value, real(high)) for value in values] if high < math.inf else list(values)
        case Add():
            return [value + other for value, other in zip(values, others, strict=True)]


def choose(condition: Any, word: Any, otherwise: int) -> Any:
    """Return a word, or a constant in its place; without a branch."""
    return call("uint32", "select", tirx.const(otherwise, "uint32"), word, tirx.Cast("int32", condition))
