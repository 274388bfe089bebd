"""The convolution template: one TensorIR function per quantized convolution, before scheduling.

A kernel works on windows of rows (`Geometry.window`), and leaves what surrounds the picture to its caller, see
`toolchain.kernels.driver`. Arguments, in this order: the packed input, from the first row that the first output row
needs on (and the packed residual), the weights as `Dot.stored` lays them, the bias ``(channels,)`` int32 that
`Dot.folded` makes, the multipliers ``(channels,)`` float32 (and the slopes), the rows to compute, the number of column
tiles, the true width, the output. Its blocks are called ``acc`` (the integer sums) and ``out`` (requantized words), or
``row`` and ``pixels`` where the output is a picture. Of an input of 16 bits the high bytes are summed up first (block
``high``); ``acc`` begins with 256 times that and goes on with the low bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import arguments, first_input, phase, tap
from toolchain.kernels.drawing import draw
from toolchain.kernels.epilogue import activate, bordered, flipped, pack_words, residual_code, within
from toolchain.kernels.function import function
from toolchain.kernels.intrinsics.dot import Dot, byte_of
from toolchain.kernels.intrinsics.matrix import MatrixDot
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.matrix import matrix_sums
from toolchain.kernels.spec import Conv


def constants(conv: Conv, dot: Dot) -> tuple[tuple[tuple[int, ...], str], ...]:
    """Return the shape and element type of each of a kernel's arrays, in the order of its arguments."""
    weights = dot.weight_shape(conv.channels, conv.inputs, conv.kernel)
    vector = (conv.channels,)
    return (
        (weights, dot.weight_dtype),
        (vector, "int32"),
        (vector, "float32"),
        *[(vector, "float32")] * conv.requantize.slopes,
    )


def build(conv: Conv, geometry: Geometry, dot: Dot) -> tirx.PrimFunc:
    """Return the unscheduled function of ``conv``."""
    requantize, residual = conv.requantize, conv.requantize.residual
    blocks = conv.channels // PACK
    with IRBuilder() as builder, function("conv"):
        given = arguments(conv, geometry, constants(conv, dot))
        x, r, (w, bias, multiplier, *slopes) = given.x, given.residual, given.constants
        y, height, width = given.y, given.height, given.width
        columns, vectors = given.tiles * geometry.columns, given.tiles * (geometry.columns // dot.lanes)
        if isinstance(dot, MatrixDot):
            sums = matrix_sums(conv, dot, x, w, bias, height, vectors)
        else:
            sums = _word_sums(conv, dot, x, w, bias, height, columns)

        vector = f"x{dot.lanes}"

        def codes(h: Any, b: Any, u: Any) -> tuple[Any, ...]:
            """Return the words of vector u of pixels, for each plane of the result."""
            v = u * dot.lanes

            def read(block: Any) -> Any:
                return flipped(r.vload([h, block, v + SIDE], f"uint32{vector}"), geometry.offset)

            values = []
            for p, value in enumerate(sums(h, b, u)):
                c = b * PACK + p
                other = None if residual is None else residual_code(read, residual, blocks, b, p)
                bend = slopes[0][c] if slopes else None
                values.append(activate(value, multiplier[c], bend, other, requantize))
            return pack_words(values, requantize, conv.target, dot.pack)

        if conv.pixels is None:
            planes = conv.target.planes(requantize.zero_point)
            with T.grid(blocks, height, vectors) as loops, T.sblock("out"):
                b, h, u = T.axis.remap("SSS", loops)
                v = u * dot.lanes
                packed = codes(h, b, u)
                inside = within(v, width, dot.lanes)
                place = v + SIDE
                T.writes(*(y[h, b + start, place : place + dot.lanes] for start, _ in planes))
                for (start, zero), words in zip(planes, packed, strict=True):
                    kept = bordered(words, zero, inside, geometry.offset)
                    T.buffer_store(y, kept, [h, b + start, tirx.Ramp(place, 1, dot.lanes)])
        else:
            rows = T.sblock_alloc_buffer((height, blocks, vectors, dot.lanes), "uint32")
            with T.grid(height, blocks, vectors, 1) as loops, T.sblock("row"):
                # compute_at wants a variable in every region that is written: `one` is always 0.
                h, b, u, one = T.axis.remap("SSSS", loops)
                (words,) = codes(h, b, u)
                T.writes(rows[h, b, u, one * dot.lanes : one * dot.lanes + dot.lanes])
                T.buffer_store(rows, words, [h, b, u, tirx.Ramp(0, 1, dot.lanes)])
            store_pixels(conv, rows, y, height, width, vectors, dot.lanes)
    return builder.get()


def _word_sums(conv: Conv, dot: Dot, x: Any, w: Any, bias: Any, height: Any, columns: Any) -> Callable[..., list[Any]]:
    """Block ``acc``, a word at a time; returns what loads the sums of vector u of pixels in row h, for
    the channels of block b. ``x``, ``w``, ``bias`` are the kernel's input, weights and start values.
    """

    def block(name: str, start: int, count: int, begin: Callable[..., Any], *before: Any) -> Any:
        """Return the sums over the bytes of ``count`` blocks of a group, from block ``start`` on, each begun by
        ``begin``, of what was ``before``.
        """
        acc = T.sblock_alloc_buffer((height, conv.channels, columns), "int32", scope="local")
        with T.grid(height, conv.channels, columns, count, *conv.kernel, PACK) as loops, T.sblock(name):
            h, c, v, k, i, j, q = T.axis.remap("SSSRRRR", loops)
            row, column = tap(conv, h, v, i, j)
            place = start + (first_input(conv, c) + k * conv.phases + phase(conv, i, j))
            first, last = dot.place(c, q)
            # The bias, read once by the initialization, is left out: the block must read what a dot product reads,
            # or tensorize would not find it.
            T.reads(acc[h, c, v], x[row, place, column], w[first, k, i, j, last], *(sums[h, c, v] for sums in before))
            T.writes(acc[h, c, v])
            with T.init():
                T.buffer_store(acc, begin(h, c, v), [h, c, v])
            code = byte_of(x[row, place, column], q, dot.offset)
            T.buffer_store(acc, acc[h, c, v] + code * tirx.Cast("int32", w[first, k, i, j, last]), [h, c, v])
        return acc

    source = conv.source
    if source.wide:
        high = block("high", source.start, conv.inputs, lambda h, c, v: tirx.const(0, "int32"))

        def start(h: Any, c: Any, v: Any) -> Any:
            return high[h, c, v] * tirx.const(256, "int32") + bias[c]

        acc = block("acc", source.low, conv.low_inputs, start, high)
    else:
        acc = block("acc", source.start, conv.inputs, lambda h, c, v: bias[c])

    def load(h: Any, b: Any, u: Any) -> list[Any]:
        v = u * dot.lanes
        T.reads(acc[h, b * PACK : b * PACK + PACK, v : v + dot.lanes])
        return [acc.vload([h, b * PACK + p, v], f"int32x{dot.lanes}") for p in range(PACK)]

    return load


def store_pixels(conv: Conv, rows: Any, y: Any, height: Any, width: Any, vectors: Any, lanes: int) -> None:
    """Write block ``pixels``: depth-to-space from packed rows ``(height, blocks, vectors, lanes)`` into the picture."""
    assert conv.pixels is not None
    scale, channels = conv.pixels.scale, conv.pixels.channels
    blocks = conv.channels // PACK
    with T.serial(0, height) as loop, T.sblock("pixels"):
        # One block a row, opaque inside: the row of words is computed whole, then spread over `scale` rows of pixels.
        h = T.axis.spatial(height, loop)
        T.reads(rows[h, 0:blocks, 0:vectors, 0:lanes])
        T.writes(y[h * scale : h * scale + scale, 0 : width * scale, 0:channels])

        def read(block: int, v: Any, count: int) -> Any:
            place = [h, block, v // lanes, v % lanes]
            return rows[tuple(place)] if count == 1 else rows.vload(place, f"uint32x{count}")

        draw(y, conv.pixels, read, h, 0, width, lanes)
