"""Kernels at the ends of the packed world: from and to pixels, from and to the float tensors of operators that have no
integer kernel. Scalars come before the output, as in `toolchain.kernels.conv`; none needs a schedule of its own.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.conv import fill_outside
from toolchain.kernels.epilogue import dequantize, extract, pack_codes, real, word
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Pixels, Requantize, View


def pack_pixels(channels: int, target: View, geometry: Geometry) -> tirx.PrimFunc:
    """Pixels uint8 ``(height, width, channels)``, channels <= 4, to a packed tensor with zero point 0."""

    def packed(x: Any, h: Any, v: Any, _block: int) -> Any:
        value = tirx.Cast("uint32", x[h, v, 0])
        for channel in range(1, channels):
            value = value | (tirx.Cast("uint32", x[h, v, channel]) << word(8 * channel))
        return value

    return _fill_rows("pack_pixels", lambda h, w: ((h, w, channels), "uint8"), target, geometry, 0, packed)


def quantize(channels: int, target: View, geometry: Geometry, requantize: Requantize, scale: float) -> tirx.PrimFunc:
    """Float32 ``(1, channels, height, width)`` to a packed tensor: rint(x / scale) + zero point, saturated."""

    def packed(x: Any, h: Any, v: Any, block: int) -> Any:
        values = []
        for position in range(PACK):
            channel = block * PACK + position
            value = x[0, channel, h, v] / real(scale) if channel < channels else real(0.0)
            values.append(value)
        return pack_codes(values, requantize)

    return _fill_rows("quantize", lambda h, w: ((1, channels, h, w), "float32"), target, geometry,
                      requantize.zero_point, packed)


def unpack(channels: int, source: View, geometry: Geometry, scale: float, zero_point: int) -> tirx.PrimFunc:
    """Packed tensor to float32 ``(1, channels, height, width)``: (code - zero point) * scale."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            T.func_name("unpack")
            T.func_attr({"tirx.noalias": True})
            x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), "uint32"))
            for name, var in (("height", height), ("tiles", tiles), ("width", width)):
                T.arg(name, var)
            y = T.arg("y", T.Buffer((1, channels, height, width), "float32"))
            for channel in range(channels):
                with T.parallel(0, height) as i, T.serial(0, width) as j, T.sblock(f"channel{channel}"):
                    h, v = T.axis.remap("SS", [i, j])
                    code = extract(x[h + geometry.margin, source.start + channel // PACK, v + SIDE], channel % PACK)
                    T.buffer_store(y, dequantize(code, zero_point, scale), [0, channel, h, v])
        return builder.get()


def store_pixels(source: View, geometry: Geometry, pixels: Pixels) -> tirx.PrimFunc:
    """Packed tensor to a picture, depth-to-space included; used where no convolution ends the network."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    scale, channels = pixels.scale, pixels.channels
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            T.func_name("store_pixels")
            T.func_attr({"tirx.noalias": True})
            x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), "uint32"))
            for name, var in (("height", height), ("tiles", tiles), ("width", width)):
                T.arg(name, var)
            y = T.arg("y", T.Buffer((height * scale, width * scale, channels), "uint8"))
            with T.parallel(0, height) as i, T.serial(0, width) as j, T.sblock("pixels"):
                h, v = T.axis.remap("SS", [i, j])
                for dy, dx, channel, slot in pixels.places():
                    code = extract(x[h + geometry.margin, source.start + slot // PACK, v + SIDE], slot % PACK)
                    T.buffer_store(y, tirx.Cast("uint8", code), [h * scale + dy, v * scale + dx, channel])
        return builder.get()


def _fill_rows(name: str, source: Any, target: View, geometry: Geometry, zero_point: int, packed: Any) -> tirx.PrimFunc:
    """A kernel that computes every word of ``target`` from an unpacked source, zero point outside of the picture."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    columns = tiles * geometry.columns
    outside = word(zero_point * 0x01010101)
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            T.func_name(name)
            T.func_attr({"tirx.noalias": True})
            shape, dtype = source(height, width)
            x = T.arg("x", T.Buffer(shape, dtype))
            for argument, var in (("height", height), ("tiles", tiles), ("width", width)):
                T.arg(argument, var)
            y = T.arg("y", T.Buffer(geometry.shape(target.total, height, tiles), "uint32"))
            for block in range(target.count):
                with T.parallel(0, height) as i, T.serial(0, width) as j, T.sblock(f"inside{block}"):
                    h, v = T.axis.remap("SS", [i, j])
                    T.buffer_store(y, packed(x, h, v, block), [h + geometry.margin, target.start + block, v + SIDE])
                with T.parallel(0, height) as i, T.serial(0, columns - width) as j, T.sblock(f"outside{block}"):
                    h, v = T.axis.remap("SS", [i, j])
                    T.buffer_store(y, outside, [h + geometry.margin, target.start + block, v + width + SIDE])
            fill_outside(y, target.start, target.count, geometry, height, columns, outside)
        return builder.get()

