"""The other float kernels for OpenCL: sums and copies, and the pictures where no convolution reads or writes them.

As `toolchain.backends.opencl.elementwise`, with one channel a block; float32 is computed with whatever is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.elementwise import Group, pixelwise
from toolchain.backends.opencl.primitives import Size, call, follow, load, real, store_floats
from toolchain.kernels.float_spec import FloatDraw, FloatPack, FloatSum
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import Slopes


def add(operation: FloatSum, dtype: str, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return the sum of one or two packed tensors, and an activation: arguments x, r, slopes, y."""
    target = operation.target

    def write(size: Size) -> Callable[[Any, Any], None]:
        inputs = [
            size.operand(name, operand.view.total, geometry, None, dtype=dtype)
            for name, operand in zip("xr", operation.operands, strict=False)
        ]
        slopes = T.arg("slopes", T.Buffer((target.count,), "float32")) if Slopes() in operation.stages else None
        size.declare()
        y = size.operand("y", target.total, geometry, None, dtype=dtype)

        def body(row: Any, column: Any) -> None:
            for channel in range(target.count):
                terms = []
                for x, operand in zip(inputs, operation.operands, strict=True):
                    slot = operand.view.start + channel // operand.divide % operand.modulo
                    terms.append(load("value", x, [row + geometry.margin, slot, column + SIDE], pixels))
                values = terms[0] if len(terms) == 1 else [a + b for a, b in zip(*terms, strict=True)]
                for stage in operation.stages:
                    values = follow(values, stage, None if slopes is None else slopes[channel])
                store_floats(y, values, (row + geometry.margin, target.start + channel, column), size)

        return body

    return pixelwise(write, pixels, group)


def pack(operation: FloatPack, dtype: str, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return the picture as packed floats: arguments x, y."""
    target = operation.target

    def write(size: Size) -> Callable[[Any, Any], None]:
        x = size.operand("x", 0, geometry, target.count)
        size.declare()
        y = size.operand("y", target.total, geometry, None, dtype=dtype)

        def body(row: Any, column: Any) -> None:
            for channel in range(target.count):
                values = []
                for p in range(pixels):
                    known = column + p < size.width
                    code = x[row, tirx.min(column + p, size.width - 1), channel]
                    values.append(call("float32", "pixel", code, tirx.Cast("int32", known), real(operation.step)))
                store_floats(y, values, (row + geometry.margin, target.start + channel, column), size)

        return body

    return pixelwise(write, pixels, group)


def draw(operation: FloatDraw, dtype: str, geometry: Geometry, pixels: int, group: Group) -> tirx.PrimFunc:
    """Return the picture from packed floats, depth-to-space included: arguments x, y."""
    source, picture = operation.source, operation.pixels

    def write(size: Size) -> Callable[[Any, Any], None]:
        x = size.operand("x", source.total, geometry, None, dtype=dtype)
        size.declare()
        y = size.operand("y", 0, geometry, picture.channels, picture.scale)

        def body(row: Any, column: Any) -> None:
            values = {
                slot: load("value", x, [row + geometry.margin, source.start + slot, column + SIDE], pixels)
                for slot in sorted(set(picture.table))
            }
            for p in range(pixels):
                with T.If(column + p < size.width), T.Then():
                    for dy, dx, channel, slot in picture.places():
                        code = call("uint8", "convert_uchar_sat_rte", values[slot][p] * real(operation.gain))
                        T.buffer_store(y, code, [row * picture.scale + dy, (column + p) * picture.scale + dx, channel])

        return body

    return pixelwise(write, pixels, group)
