"""What float kernels do with vectors of pixels, as TVM expressions."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from toolchain.kernels.epilogue import MAGIC, cast, lanes, real
from toolchain.kernels.layout import SIDE
from toolchain.kernels.spec import Addend
from toolchain.kernels.vectors import Vectors


def load(buffer: Any, operand: Addend, h: Any, c: Any, v: Any, vectors: Vectors) -> Any:
    """Return the operand's vector for output channel c at row h, from column v on."""
    channel = operand.view.start + c // operand.divide % operand.modulo
    return buffer.vload([h, channel, v + SIDE], vectors.type)


def inside(value: Any, v: Any, width: Any, vectors: Vectors) -> Any:
    """Return the vector that starts at column v; zero from column ``width`` on."""
    column = tirx.Ramp(tirx.Cast("int32", v), 1, vectors.lanes)
    known = column < tirx.Broadcast(tirx.Cast("int32", width), vectors.lanes)
    return tirx.Select(known, value, vectors.all(0.0))


def code(value: Any, gain: float) -> Any:
    """Return pixels uint8 of a float vector or number: ``value * gain``, saturated to 0..255, rounded half to even."""
    bounded = tirx.max(tirx.min(cast("float32", value) * real(gain), real(255.0)), real(0.0))
    kind = "int32" if lanes(value) == 1 else f"int32x{lanes(value)}"
    return cast("uint8", tirx.reinterpret(kind, bounded + real(MAGIC)))
