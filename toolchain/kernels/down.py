"""Kernels that make pictures smaller: pixels laid into phases, and the largest of every window; on windows of rows as
`toolchain.kernels.conv`. Scalars come before the output and are those of what is written.
"""

from __future__ import annotations

from functools import reduce

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.arguments import phase, tap
from toolchain.kernels.epilogue import bordered, flipped, outside_word, within
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.packed_codes import code_vector, plane_words
from toolchain.kernels.spec import Pool, SpaceToDepth


def space_to_depth(operation: SpaceToDepth, geometry: Geometry) -> tirx.PrimFunc:
    """Return the function that lays ``size`` rows into one: words stay what they are."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, target, size = operation.source, operation.target, operation.size
    across = tirx.floordiv(width * size + (geometry.columns - 1), geometry.columns)
    with IRBuilder() as builder, function("space_to_depth"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, height * size, across), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        planes = zip(source.planes(0), target.planes(operation.zero_point), strict=True)
        for plane, ((read, _), (written, zero)) in enumerate(planes):
            with T.grid(height, source.count, size, width) as loops, T.sblock(f"inside{plane}"):
                h, b, i, v = T.axis.remap("SSSS", loops)
                for j in range(size):
                    word = x[h * size + i, read + b, v * size + (SIDE + j)]
                    T.buffer_store(y, word, [h, written + (b * size + i) * size + j, v + SIDE])
            with (
                T.grid(height, target.count, tiles * geometry.columns - width) as loops,
                T.sblock(f"outside{plane}"),
            ):
                h, b, v = T.axis.remap("SSS", loops)
                T.buffer_store(y, outside_word(zero, geometry.offset), [h, written + b, v + width + SIDE])
    return builder.get()


def pool(operation: Pool, geometry: Geometry, lanes: int) -> tirx.PrimFunc:
    """Return the function of ``operation``, on vectors of ``lanes`` words."""
    height, tiles, width = (tirx.Var(name, "int64") for name in ("height", "tiles", "width"))
    source, target = operation.source, operation.target
    phases = operation.stride[0] * operation.stride[1]
    with IRBuilder() as builder, function("pool"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, height + operation.reach[0], tiles), "uint32"))
        declare(height, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, height, tiles), "uint32"))
        starts = [start for start, _ in source.planes(0)]
        with (
            T.grid(height, target.count, tiles * (geometry.columns // lanes)) as loops,
            T.sblock("largest"),
        ):
            h, b, u = T.axis.remap("SSS", loops)
            codes = []
            for i in range(operation.kernel[0]):
                for j in range(operation.kernel[1]):
                    row, column = tap(operation, h, u * lanes, i, j)
                    block = b * phases + phase(operation, i, j)
                    words = [x.vload([row, start + block, column], f"uint32x{lanes}") for start in starts]
                    codes.append(code_vector([flipped(word, geometry.offset) for word in words], lanes))
            largest = reduce(lambda one, other: T.bind(tirx.max(one, other)), codes)
            planes = plane_words(largest, lanes, wide=source.wide)
            inside = within(u * lanes, width, lanes)
            for (start, zero), words in zip(target.planes(operation.zero_point), planes, strict=True):
                kept = bordered(words, zero, inside, geometry.offset)
                T.buffer_store(y, kept, [h, start + b, tirx.Ramp(u * lanes + SIDE, 1, lanes)])
    return builder.get()
