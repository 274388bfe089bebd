"""Interpolation of floats by any factor for OpenCL: a work-item computes a pixel of the result, and the weights of its
row and its column itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import keep, load, store, written
from toolchain.kernels.float_expressions import weighted
from toolchain.kernels.float_resample import float_taps
from toolchain.kernels.float_spec import FloatSample
from toolchain.kernels.layout import SIDE


def resample(operation: FloatSample, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Return the kernel of ``operation``: arguments x, y. What surrounds the result is left as it was filled."""
    source, target, made, margin = operation.source, operation.target, written(), config.geometry.margin
    down, right = operation.factors or (None, None)

    def body(at: Item) -> None:
        def kept(value: Any) -> Any:
            return keep("kept", value, str(value.ty.dtype))

        def taps(place: Any, size: Any, out: Any, factor: Any) -> list[tuple[Any, Any]]:
            output, given, wanted = (tirx.Cast("int64", side) for side in (place, size, out))
            found = float_taps(operation.sampling, output, given, wanted, factor, kept)
            return [(keep("place", tirx.Cast("int32", a), "int32"), keep("weight", b, "float32")) for a, b in found]

        rows = taps(at.row, at.size.height, made.height, down)
        columns = taps(at.column, at.size.width, made.width, right)
        with T.serial(0, target.count) as channel:
            IRBuilder.name("channel", channel)
            parts = []
            for column, _ in columns:
                places = [[row + margin, source.start + channel, column + SIDE] for row, _ in rows]
                values = [load("value", at.inputs[0], place, 1)[0] for place in places]
                parts.append(weighted(values, [weight for _, weight in rows]))
            total = weighted(parts, [weight for _, weight in columns])
            store(at.y, [at.inner, target.start + channel, at.column + SIDE], [total])

    reads, writes = Form(source.total, dtype=dtype), Form(target.total, size=made, dtype=dtype)
    return pixelwise([reads], writes, replace(config, pixels=1), body)
