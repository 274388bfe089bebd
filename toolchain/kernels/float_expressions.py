"""What float kernels do with vectors of pixels, as TVM expressions."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from toolchain.kernels.epilogue import MAGIC, cast, lanes, real
from toolchain.kernels.float_spec import INFINITY, FloatActivation, FloatOperand
from toolchain.kernels.layout import SIDE
from toolchain.kernels.vectors import Vectors


def load(buffer: Any, operand: FloatOperand, h: Any, c: Any, v: Any, vectors: Vectors) -> Any:
    """The operand's vector for output channel c at row h, from column v on."""
    channel = operand.view.start + c // operand.divide % operand.modulo
    return buffer.vload([h, channel, v + SIDE], vectors.type)


def activate(value: Any, activation: FloatActivation | None, slope: Any, vectors: Vectors) -> Any:
    """``activation`` of a vector; ``slope``: of its channel, if the activation has slopes."""
    if activation is None:
        return value
    if activation.slopes:
        return tirx.Select(value < vectors.all(0.0), value * tirx.Broadcast(slope, vectors.lanes), value)
    if activation.low > -INFINITY:
        value = tirx.max(value, vectors.all(activation.low))
    if activation.high < INFINITY:
        value = tirx.min(value, vectors.all(activation.high))
    return value


def inside(value: Any, v: Any, width: Any, vectors: Vectors) -> Any:
    """The vector that starts at column v; zero from column ``width`` on."""
    column = tirx.Ramp(tirx.Cast("int32", v), 1, vectors.lanes)
    known = column < tirx.Broadcast(tirx.Cast("int32", width), vectors.lanes)
    return tirx.Select(known, value, vectors.all(0.0))


def code(value: Any, gain: float) -> Any:
    """Pixels uint8 of a float vector or number: ``value * gain``, saturated to 0..255, rounded half to even."""
    bounded = tirx.max(tirx.min(cast("float32", value) * real(gain), real(255.0)), real(0.0))
    kind = "int32" if lanes(value) == 1 else f"int32x{lanes(value)}"
    return cast("uint8", tirx.reinterpret(kind, bounded + real(MAGIC)))
