"""Normalization of floats over the channels of each pixel, on windows of rows: three times over the channels."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.float_expressions import inside, ramp
from toolchain.kernels.float_functions import FUNCTIONS, held
from toolchain.kernels.float_spec import FloatNormalization
from toolchain.kernels.function import declare, function
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.vectors import Vectors


def build(operation: FloatNormalization, geometry: Geometry, vectors: Vectors) -> tirx.PrimFunc:
    """Return the function of ``operation``: input, gains, offsets, rows, tiles, width, output; sums are float32."""
    rows, tiles, width = (tirx.Var(name, "int64") for name in ("rows", "tiles", "width"))
    source, target, lanes = operation.source, operation.target, vectors.lanes
    kind, share = f"float32x{lanes}", 1.0 / target.count
    with IRBuilder() as builder, function("normalize"):
        x = T.arg("x", T.Buffer(geometry.window(source.total, rows, tiles), vectors.dtype))
        gains, offsets = (T.arg(name, T.Buffer((target.count,), vectors.dtype)) for name in ("gains", "offsets"))
        declare(rows, tiles, width)
        y = T.arg("y", T.Buffer(geometry.window(target.total, rows, tiles), vectors.dtype))
        with T.grid(rows, tiles * (geometry.columns // lanes)) as (h, u):
            total = T.alloc_buffer((lanes,), "float32", scope="local")

            def read(c: Any, h: Any = h, u: Any = u) -> Any:
                return tirx.Cast(kind, x.vload([h, source.start + c, u * lanes + SIDE], vectors.type))

            def mean(value: Any, total: Any = total) -> Any:
                """Return the mean over channels of what ``value`` makes of one's number."""
                T.buffer_store(total, _every(0.0, lanes), [ramp(0, lanes)])
                with T.serial(0, target.count) as c:
                    T.buffer_store(total, total.vload([0], kind) + value(read(c)), [ramp(0, lanes)])
                return held(total.vload([0], kind) * _every(share, lanes))

            middle = mean(lambda number: number)
            variance = mean(lambda number: FUNCTIONS["square"](held(number - middle)))
            root = held(FUNCTIONS["rsqrt"](variance + _every(operation.epsilon, lanes)))
            with T.serial(0, target.count) as c:
                gain, offset = (tirx.Broadcast(tirx.Cast("float32", one[c]), lanes) for one in (gains, offsets))
                value = tirx.Cast(vectors.type, (read(c) - middle) * root * gain + offset)
                place = [h, target.start + c, ramp(u * lanes + SIDE, lanes)]
                T.buffer_store(y, inside(value, u * lanes, width, vectors), place)
    return builder.get()


def _every(value: float, lanes: int) -> Any:
    return tirx.Broadcast(tirx.const(value, "float32"), lanes)
