"""Kernels at the ends of the packed world: from and to pixels, on windows of rows as `toolchain.kernels.conv`; from and
to the float tensors of operators that have no integer kernel, whole, in parallel and with what surrounds the picture.
Scalars come before the output; none needs a schedule of its own.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import (
    PLAIN,
    code_at,
    combine,
    dequantize,
    extract,
    flipped,
    outside_word,
    pack_words,
    real,
    word,
)
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import DepthToSpace, Requantize, Shuffle, View


def pack_pixels(channels: int, target: View, geometry: Geometry) -> tirx.PrimFunc:
    """Turn rows of pixels uint8 ``(rows, width, channels)``, channels <= 4, into rows of a packed tensor with zero
    point 0.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    with IRBuilder() as builder, function("pack_pixels"):
        x = T.arg("x", T.Buffer((height, width, channels), "uint8"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        with T.grid(height, width) as loops, T.sblock("inside"):
            h, v = T.axis.remap("SS", loops)
            value = tirx.Cast("uint32", x[h, v, 0])
            for channel in range(1, channels):
                value = value | (tirx.Cast("uint32", x[h, v, channel]) << word(8 * channel))
            T.buffer_store(y, flipped(value, geometry.offset), [h, target.start, v + SIDE])
        with T.grid(height, tiles * geometry.columns - width) as loops, T.sblock("outside"):
            h, v = T.axis.remap("SS", loops)
            T.buffer_store(y, outside_word(0, geometry.offset), [h, target.start, v + width + SIDE])
    return builder.get()


def quantize(channels: int, target: View, geometry: Geometry, requantize: Requantize, scale: float) -> tirx.PrimFunc:
    """Float32 ``(1, channels, height, width)`` to a packed tensor: rint(x / scale) + zero point, saturated; with what
    surrounds the picture.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    columns = tiles * geometry.columns
    planes = target.planes(requantize.zero_point)
    outside = [(first, outside_word(zero, geometry.offset)) for first, zero in planes]
    with IRBuilder() as builder, function("quantize"):
        x = T.arg("x", T.Buffer((1, channels, height, width), "float32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.shape(target.total, height, tiles), "uint32"))
        for block in range(target.count):
            with T.parallel(0, height) as i, T.serial(0, width) as j, T.sblock(f"inside{block}"):
                h, v = T.axis.remap("SS", [i, j])
                values = [
                    x[0, channel, h, v] / real(scale) if channel < channels else real(0.0)
                    for channel in range(block * PACK, block * PACK + PACK)
                ]
                packed = pack_words(values, requantize, target, PLAIN)
                for (first, _), words in zip(planes, packed, strict=True):
                    T.buffer_store(y, flipped(words, geometry.offset), [h + geometry.margin, first + block, v + SIDE])
            with T.parallel(0, height) as i, T.serial(0, columns - width) as j, T.sblock(f"outside{block}"):
                h, v = T.axis.remap("SS", [i, j])
                for first, zeros in outside:
                    T.buffer_store(y, zeros, [h + geometry.margin, first + block, v + width + SIDE])
        for first, zeros in outside:
            _fill_outside(y, first, target.count, geometry, height, columns, zeros)
    return builder.get()


def unpack(channels: int, source: View, geometry: Geometry, scale: float, zero_point: int) -> tirx.PrimFunc:
    """Packed tensor to float32 ``(1, channels, height, width)``: (code - zero point) * scale."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    with IRBuilder() as builder, function("unpack"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer((1, channels, height, width), "float32"))
        for channel in range(channels):
            with T.parallel(0, height) as i, T.serial(0, width) as j, T.sblock(f"channel{channel}"):
                h, v = T.axis.remap("SS", [i, j])
                row, column = h + geometry.margin, v + SIDE

                def read(block: int, row: Any = row, column: Any = column) -> Any:
                    return flipped(x[row, block, column], geometry.offset)

                code = code_at(read, source, channel // PACK, channel % PACK)
                T.buffer_store(y, dequantize(code, zero_point, scale), [0, channel, h, v])
    return builder.get()


def store_pixels(source: View, geometry: Geometry, pixels: DepthToSpace) -> tirx.PrimFunc:
    """Turn rows of a packed tensor into a picture, depth-to-space included; used where no convolution ends the
    network.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    scale, channels = pixels.scale, pixels.channels
    with IRBuilder() as builder, function("store_pixels"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, height, tiles), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer((height * scale, width * scale, channels), "uint8"))
        with T.serial(0, height) as i, T.serial(0, width) as j, T.sblock("pixels"):
            h, v = T.axis.remap("SS", [i, j])
            for dy, dx, channel, slot in pixels.places():
                words = x[h, source.start + slot // PACK, v + SIDE]
                code = extract(flipped(words, geometry.offset), slot % PACK)
                T.buffer_store(y, tirx.Cast("uint8", code), [h * scale + dy, v * scale + dx, channel])
    return builder.get()


def shuffle(operation: Shuffle, geometry: Geometry) -> tirx.PrimFunc:
    """Turn rows of a packed tensor into more and wider ones: codes stay what they are. The sizes that it is given are
    those of what it reads.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, target, pixels, scale = operation.source, operation.target, operation.pixels, operation.pixels.scale
    across = tirx.floordiv(width * scale + (geometry.columns - 1), geometry.columns)
    with IRBuilder() as builder, function("shuffle"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, height, tiles), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height * scale, across), "uint32"))
        planes = zip(source.planes(0), target.planes(operation.zero_point), strict=True)
        for plane, ((read, _), (written, zero)) in enumerate(planes):
            outside = outside_word(zero, geometry.offset)
            with T.serial(0, height) as i, T.serial(0, width) as j, T.sblock(f"inside{plane}"):
                h, v = T.axis.remap("SS", [i, j])
                for dy, dx, block, slots in pixels.words():
                    codes = [
                        extract(outside if slot is None else x[h, read + slot // PACK, v + SIDE], (slot or 0) % PACK)
                        for slot in slots
                    ]
                    T.buffer_store(y, combine(codes), [h * scale + dy, written + block, v * scale + (SIDE + dx)])
            rest = across * geometry.columns - width * scale
            with T.grid(height * scale, target.count, rest) as loops, T.sblock(f"outside{plane}"):
                h, b, v = T.axis.remap("SSS", loops)
                T.buffer_store(y, outside, [h, written + b, v + width * scale + SIDE])
    return builder.get()


def _fill_outside(y: Any, start: int, blocks: int, geometry: Geometry, height: Any, columns: Any, outside: Any) -> None:
    """Blocks ``rows`` and ``sides``: write ``outside`` around the picture."""
    margin = geometry.margin
    if not margin:
        return
    around = tirx.const(2 * margin, "int64")
    with T.grid(blocks, around, columns + 2 * SIDE) as loops, T.sblock("rows"):
        b, i, v = T.axis.remap("SSS", loops)
        T.buffer_store(y, outside, [tirx.Select(i < margin, i, i + height), b + start, v])
    with T.grid(blocks, height, around) as loops, T.sblock("sides"):
        b, h, i = T.axis.remap("SSS", loops)
        column = tirx.Select(i < margin, i + (SIDE - margin), i + columns + (SIDE - margin))
        T.buffer_store(y, outside, [h + margin, b + start, column])
