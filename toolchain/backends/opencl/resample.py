"""Interpolation in integers by any factor for OpenCL, as `toolchain.kernels.resample`: a work-item computes a pixel of
the result, and the weights of its row and its column itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.enlarge import finished
from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise, slopes
from toolchain.backends.opencl.primitives import bind, code_of, keep, number, real, written
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.resample import axis_taps
from toolchain.kernels.spec import Interpolate


def resample(operation: Interpolate, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Return the kernel of ``operation``: arguments x, r, slopes, y. What surrounds the result is left as it was
    filled.
    """
    source, target, made, margin = operation.source, operation.target, written(), config.geometry.margin
    requantize, residual, sampling = operation.requantize, operation.requantize.residual, operation.resizing.sampling
    down, right = operation.resizing.factors or (None, None)
    half = 1 << (operation.dropped - 1)

    def body(at: Item) -> None:
        x = at.inputs[0]

        def taps(place: Any, size: Any, out: Any, factor: Any) -> list[tuple[Any, Any]]:
            output, given, wanted = (tirx.Cast("int64", side) for side in (place, size, out))
            found = axis_taps(sampling, output, given, wanted, factor, lambda value: keep("kept", value, "int64"))
            return [(keep("place", tirx.Cast("int32", a), "int32"), keep("weight", b, "int32")) for a, b in found]

        rows = taps(at.row, at.size.height, made.height, down)
        columns = taps(at.column, at.size.width, made.width, right)
        with T.serial(0, target.count) as block:
            IRBuilder.name("block", block)
            sums = {(j, position): number(half) for j in range(len(columns)) for position in range(PACK)}
            for j, (column, _) in enumerate(columns):
                for row, weight in rows:
                    planes = [first for first, _ in source.planes(0)]
                    words = [bind("word", x[row + margin, first + block, column + SIDE]) for first in planes]
                    for position in range(PACK):
                        code = tirx.Cast("int32", code_of(words, number(position))) - number(operation.zero_point)
                        sums[j, position] = bind("sum", sums[j, position] + code * weight)
            totals = []
            for position in range(PACK):
                total: Any = number(0)
                for j, (_, weight) in enumerate(columns):
                    total = total + (sums[j, position] >> number(operation.dropped)) * weight
                totals.append(tirx.Cast("float32", total) * real(operation.multiplier))
            finished(at, requantize, target, totals, (at.inner, block, at.column + SIDE))

    reads = [Form(source.total), *([] if residual is None else [Form(residual.view.total, size=made)])]
    bends = slopes(requantize.stages, target.count * PACK)
    return pixelwise(reads, Form(target.total, size=made), replace(config, pixels=1), body, bends)
