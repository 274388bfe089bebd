"""Averages of windows that leave out what lies beyond the picture, of whole packed tensors: the formulas of
`toolchain.reference.average`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import code_bits, flipped, outside_word
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.resample import WORD, codes_of, put
from toolchain.kernels.spec import Requantize
from toolchain.kernels.view import View


@dataclass(frozen=True)
class Average:
    """The mean of every window.

    Attributes:
        source: blocks that are read.
        kernel, strides: (rows, columns).
        before: rows and columns of padding at the top and left.
        zero_point: of what is read.
        requantize: the end.
        target: as many blocks that are written.
    """

    source: View
    kernel: tuple[int, int]
    strides: tuple[int, int]
    before: tuple[int, int]
    zero_point: int
    requantize: Requantize
    target: View


def build(operation: Average, geometry: Geometry) -> tirx.PrimFunc:
    """Return the function of ``operation``: ``(input, factors, height, tiles, width, rows, across, columns, result)``,
    where the first three sizes are the input's and the last three the result's, and ``factors`` float32 by the number
    of a window's pixels.
    """
    names = ("height", "tiles", "width", "rows", "across", "columns")
    height, tiles, width, rows, across, columns = (tirx.Var(name, "int64") for name in names)
    source, target, requantize, margin = operation.source, operation.target, operation.requantize, geometry.margin
    pitch, (down, right) = across * geometry.columns + 2 * SIDE, operation.kernel
    with IRBuilder() as builder, function("average"):
        x = T.arg("x", T.Buffer(geometry.shape(source.total, height, tiles), "uint32"))
        factors = T.arg("factors", T.Buffer((down * right + 1,), "float32"))
        declare(height, tiles, width, rows, across, columns)
        y = T.arg("y", T.Buffer(geometry.shape(target.total, rows, across), "uint32"))
        with T.parallel(0, rows + 2 * margin) as i:
            for first, zero in target.planes(requantize.zero_point):
                with T.grid(target.count, pitch) as (b, v):
                    T.buffer_store(y, outside_word(zero, geometry.offset), [i, first + b, v])
            with T.If(tirx.all(i >= margin, i < rows + margin)), T.Then():
                row = tirx.Cast("int64", i) - margin
                above, below = (T.bind(end) for end in _window(operation, row, height, 0))
                with T.grid(target.count, columns) as (block, v):
                    left, beyond = (T.bind(end) for end in _window(operation, v, width, 1))
                    total = T.alloc_buffer((1,), WORD, scope="local")
                    T.buffer_store(total, tirx.Broadcast(tirx.const(0, "int32"), 4), [0])
                    with T.serial(0, below - above) as dy, T.serial(0, beyond - left) as dx:

                        def given(b: Any, dy: Any = dy, dx: Any = dx, left: Any = left) -> Any:
                            return flipped(x[above + dy + margin, b, left + dx + SIDE], geometry.offset)

                        centred = codes_of(given, source, block) - tirx.const(operation.zero_point, "int32")
                        T.buffer_store(total, total[0] + centred, [0])
                    factor = factors[(below - above) * (beyond - left)]
                    bits = code_bits(tirx.Cast("float32x4", total[0]) * factor, requantize)
                    put(y, bits, target, (i, block, v + SIDE), geometry)
    return builder.get()


def _window(operation: Average, place: Any, side: Any, axis: int) -> tuple[Any, Any]:
    """Return the first pixel of a window, and the one behind its last, within a picture of ``side``."""
    start = place * operation.strides[axis] - operation.before[axis]
    return tirx.max(start, tirx.const(0, "int64")), tirx.min(start + operation.kernel[axis], side)
