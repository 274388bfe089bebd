"""Pictures cut, or continued at their borders: packed tensors whole, with what surrounds the picture, and plain floats.

Pixels move, codes stay what they are. Where a picture is mirrored and is smaller than what is added, it is mirrored
again and again, as NumPy has it.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.frontend.window import Mode, Window
from toolchain.kernels.epilogue import outside_word
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import Move


def move(operation: Move, geometry: Geometry, dtype: str = "uint32") -> tirx.PrimFunc:
    """Return the function of ``operation``: ``(input, height, tiles, width, rows, across, columns, result)``, where the
    first three are the input's size and the last three the result's. ``dtype``: of words of codes, or of floats, which
    have zeros around the picture and are filled by the window's value.
    """
    names = ("height", "tiles", "width", "rows", "across", "columns")
    height, tiles, width, rows, across, columns = (tirx.Var(name, "int64") for name in names)
    source, target, border, mode = operation.source, operation.target, operation.border, operation.window.mode
    top, left = operation.window.pads[:2]
    margin = geometry.margin
    pitch = across * geometry.columns + 2 * SIDE
    with IRBuilder() as builder, function("move"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), dtype))
        declare(height, tiles, width, rows, across, columns)
        y = T.arg("y", T.Buffer(geometry.shape(target.total, rows, across), dtype))
        planes = zip(source.planes(0), target.planes(operation.zero_point), target.planes(operation.fill), strict=True)
        for plane, ((read, _), (written, zero), (_, code)) in enumerate(planes):
            outside, fill = outside_word(zero, geometry.offset), outside_word(code, geometry.offset)
            if dtype != "uint32":
                outside, fill = (tirx.const(number, dtype) for number in (0.0, operation.window.value))
            with (
                T.parallel(0, rows + 2 * margin) as i,
                T.serial(0, target.count) as k,
                T.serial(0, pitch) as j,
                T.sblock(f"plane{plane}"),
            ):
                row, block, column = T.axis.remap("SSS", [i, k, j])
                h, v = row - margin, column - SIDE
                near = tirx.all(h >= -border, h < rows + border, v >= -border, v < columns + border)
                word = _read(
                    lambda a, b, at=read, k=block: x[a + margin, at + k, b + SIDE],
                    h - top,
                    v - left,
                    height,
                    width,
                    mode,
                    fill,
                )
                T.buffer_store(y, tirx.if_then_else(near, word, outside), [row, written + block, column])
    return builder.get()


def pad_floats(channels: int, window: Window) -> tirx.PrimFunc:
    """Float32 ``(1, channels, height, width)`` to ``(1, channels, rows, columns)``: ``(input, height, width, rows,
    columns, result)``.
    """
    height, width, rows, columns = (tirx.Var(name, "int64") for name in ("height", "width", "rows", "columns"))
    top, left = window.pads[:2]
    with IRBuilder() as builder, function("pad"):
        x = T.arg("x", T.Buffer((1, channels, height, width), "float32"))
        declare(height, width, rows, columns)
        y = T.arg("y", T.Buffer((1, channels, rows, columns), "float32"))
        with T.parallel(0, rows) as i, T.serial(0, channels) as k, T.serial(0, columns) as j, T.sblock("pixels"):
            h, c, v = T.axis.remap("SSS", [i, k, j])
            value = _read(
                lambda a, b: x[0, c, a, b],
                h - top,
                v - left,
                height,
                width,
                window.mode,
                tirx.const(window.value, "float32"),
            )
            T.buffer_store(y, value, [0, c, h, v])
    return builder.get()


def pad_pixels(channels: int, window: Window, fill: int) -> tirx.PrimFunc:
    """Add a border to a picture uint8 (height, width, channels), ``fill`` where its mode is "constant": ``(picture,
    height, width, result)``.
    """
    height, width = (tirx.Var(name, "int64") for name in ("height", "width"))
    top, left, bottom, right = window.pads
    rows, columns = height + (top + bottom), width + (left + right)
    with IRBuilder() as builder, function("add_border"):
        x = T.arg("x", T.Buffer((height, width, channels), "uint8"))
        declare(height, width)
        y = T.arg("y", T.Buffer((rows, columns, channels), "uint8"))
        with T.parallel(0, rows) as i, T.serial(0, columns) as j, T.serial(0, channels) as k, T.sblock("pixels"):
            h, v, c = T.axis.remap("SSS", [i, j, k])
            value = _read(
                lambda a, b: x[a, b, c], h - top, v - left, height, width, window.mode, tirx.const(fill, "uint8")
            )
            T.buffer_store(y, value, [h, v, c])
    return builder.get()


def crop_pixels(channels: int, cut: tuple[int, int, int, int]) -> tirx.PrimFunc:
    """Cut so many pixels off a picture uint8, at the top, left, bottom and right: ``(picture, rows, columns,
    result)``, where the sizes are the result's.
    """
    rows, columns = (tirx.Var(name, "int64") for name in ("rows", "columns"))
    top, left, bottom, right = cut
    with IRBuilder() as builder, function("cut_border"):
        x = T.arg("x", T.Buffer((rows + (top + bottom), columns + (left + right), channels), "uint8"))
        declare(rows, columns)
        y = T.arg("y", T.Buffer((rows, columns, channels), "uint8"))
        with T.parallel(0, rows) as i, T.serial(0, columns) as j, T.serial(0, channels) as k, T.sblock("pixels"):
            h, v, c = T.axis.remap("SSS", [i, j, k])
            T.buffer_store(y, x[h + top, v + left, c], [h, v, c])
    return builder.get()


def _read(read: Any, row: Any, column: Any, height: Any, width: Any, mode: Mode, fill: Any) -> Any:
    """Return what stands at a place inside or outside of a picture of ``height`` x ``width``; ``read`` reads inside."""
    if mode == "constant":
        inside = tirx.all(row >= 0, row < height, column >= 0, column < width)
        return tirx.if_then_else(inside, read(row, column), fill)
    return read(_inside(row, height, mode), _inside(column, width, mode))


def _inside(place: Any, size: Any, mode: Mode) -> Any:
    one = tirx.const(1, "int64")
    if mode == "edge":
        return tirx.max(tirx.min(place, size - one), tirx.const(0, "int64"))
    if mode == "wrap":
        return tirx.floormod(place, size)
    period = tirx.max(2 * (size - one), one)
    within = tirx.floormod(place, period)
    return tirx.Select(within < size, within, period - within)
