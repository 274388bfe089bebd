"""Float kernels beside the convolution: sums, and the ways to and from pixels and plain tensors.

`read_pixels`, `add`, `shuffle` and `store_pixels` work on windows of rows, as `toolchain.kernels.float_conv`; `pack`
and `unpack` on whole tensors, in parallel, with what surrounds the picture. Scalars come before the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.float_expressions import code, constants_of, followed, inside, load
from toolchain.kernels.float_spec import FloatShuffle, FloatSum
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import Addend, DepthToSpace, View
from toolchain.kernels.vectors import Vectors


def read_pixels(target: View, step: float, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Turn rows of pixels uint8 ``(rows, width, channels)`` into rows of a packed tensor, each code times ``step``."""
    rows, tiles, width = _sizes("rows")
    with IRBuilder() as builder, function("read_pixels"):
        x = T.arg("x", T.Buffer((rows, width, target.count), "uint8"))
        declare(rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows, tiles), vectors.dtype))
        with T.serial(0, rows) as h:
            with T.serial(0, width) as v:
                for channel in range(target.count):
                    value = tirx.Cast("float32", x[h, v, channel]) * tirx.const(step, "float32")
                    T.buffer_store(y, tirx.Cast(vectors.dtype, value), [h, target.start + channel, v + SIDE])
            with T.grid(target.count, tiles * geometry.columns - width) as (channel, v):
                T.buffer_store(y, tirx.const(0.0, vectors.dtype), [h, target.start + channel, v + width + SIDE])
    return builder.get()


def add(operation: FloatSum, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the function of a `FloatSum`; its arguments: operands, what stages read, their arrays, rows, tiles, width,
    output.
    """
    target, terms = operation.target, len(operation.operands)
    everything = (*operation.operands, *operation.others)
    rows, tiles, width = _sizes("rows")
    with IRBuilder() as builder, function("add"):
        inputs = [
            T.arg(f"x{index}", T.Buffer(_window(operand, geometry, rows, tiles), vectors.dtype))
            for index, operand in enumerate(everything)
        ]
        constants = [
            T.arg(f"slope{index}", T.Buffer((target.count,), vectors.dtype))
            for index in range(constants_of(operation.stages))
        ]
        declare(rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows, tiles), vectors.dtype))
        with T.grid(rows, target.count, tiles * (geometry.columns // vectors.lanes)) as (h, c, u):
            v = u * vectors.lanes

            def read(index: int, h: Any = h, c: Any = c, v: Any = v) -> Any:
                return load(inputs[index], everything[index], h, c, v, vectors)

            value = T.bind(read(0) if terms == 1 else read(0) + read(1))
            value = followed(value, operation.stages, [array[c] for array in constants], lambda i: read(terms + i))
            T.buffer_store(
                y, inside(value, v, width, vectors), [h, target.start + c, tirx.Ramp(v + SIDE, 1, vectors.lanes)]
            )
    return builder.get()


def shuffle(operation: FloatShuffle, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Turn rows of a packed tensor into more and wider ones. The sizes that it is given are those of what it reads."""
    source, target, pixels, scale = operation.source, operation.target, operation.pixels, operation.pixels.scale
    rows, tiles, width = _sizes("rows")
    across = tirx.floordiv(width * scale + (geometry.columns - 1), geometry.columns)
    with IRBuilder() as builder, function("shuffle"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, rows, tiles), vectors.dtype))
        declare(rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows * scale, across), vectors.dtype))
        with T.serial(0, rows) as h:
            for dy, dx, channel, slot in pixels.places():
                with T.serial(0, width) as v:
                    value = x[h, source.start + slot, v + SIDE]
                    T.buffer_store(y, value, [h * scale + dy, target.start + channel, v * scale + (SIDE + dx)])
            with T.grid(scale, target.count, across * geometry.columns - width * scale) as (dy, c, v):
                place = [h * scale + dy, target.start + c, v + width * scale + SIDE]
                T.buffer_store(y, tirx.const(0.0, vectors.dtype), place)
    return builder.get()


def store_pixels(
    source: View, pixels: DepthToSpace, gain: float, geometry: Geometry, vectors: Vectors
) -> tirx.PrimFunc:
    """Turn rows of a packed tensor into a picture, depth-to-space included; used where no convolution ends the
    network.
    """
    rows, tiles, width = _sizes("rows")
    scale = pixels.scale
    with IRBuilder() as builder, function("store_pixels"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, rows, tiles), vectors.dtype))
        declare(rows, tiles, width)
        y = T.arg("y", T.Buffer((rows * scale, width * scale, pixels.channels), "uint8"))
        with T.grid(rows, width) as (h, v):
            for dy, dx, channel, slot in pixels.places():
                T.buffer_store(
                    y, code(x[h, source.start + slot, v + SIDE], gain), [h * scale + dy, v * scale + dx, channel]
                )
    return builder.get()


def pack(target: View, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Float32 ``(1, channels, height, width)`` to a packed tensor."""
    height, tiles, width = _sizes("height")
    margin = geometry.margin
    with IRBuilder() as builder, function("pack"):
        x = T.arg("x", T.Buffer((1, target.count, height, width), "float32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.shape(target.total, height, tiles), vectors.dtype))
        with T.parallel(0, height + 2 * margin) as row, T.grid(target.count, y.shape[2]) as (c, column):
            h, v = row - margin, column - SIDE
            known = tirx.all(h >= 0, h < height, v >= 0, v < width)
            value = tirx.if_then_else(known, x[0, c, h, v], tirx.const(0.0, "float32"))
            T.buffer_store(y, tirx.Cast(vectors.dtype, value), [row, target.start + c, column])
    return builder.get()


def unpack(slots: Sequence[int], source: View, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Packed tensor to float32 ``(1, len(slots), height, width)``, channel c from channel ``slots[c]`` of the view."""
    height, tiles, width = _sizes("height")
    with IRBuilder() as builder, function("unpack"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), vectors.dtype))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer((1, len(slots), height, width), "float32"))
        with T.parallel(0, height) as h, T.serial(0, width) as v:
            for channel, slot in enumerate(slots):
                value = x[h + geometry.margin, source.start + slot, v + SIDE]
                T.buffer_store(y, tirx.Cast("float32", value), [0, channel, h, v])
    return builder.get()


def _window(operand: Addend, geometry: Geometry, rows: Any, tiles: Any) -> tuple[Any, Any, Any]:
    return geometry.window(operand.view.total, *((1, 1) if operand.single else (rows, tiles)))


def _sizes(first: str) -> tuple[Any, Any, Any]:
    return tirx.Var(first, "int64"), tirx.Var("tiles", "int64"), tirx.Var("width", "int64")
