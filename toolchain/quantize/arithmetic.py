"""The integer arithmetic of a quantized network, written once: every kernel on every target gives these bits.

Activations are uint8 codes ``q`` that stand for ``(q - zero) * scale``; weights are int8, biases int32. A kernel
accumulates exactly, then works in float32 in units of the output's scale, clamps, rounds half to even and adds the
output's zero point. Each float32 operation below is rounded by itself: no fused multiply-add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.graph import Array

QMIN, QMAX = 0, 255


@dataclass(frozen=True)
class Quantization:
    """How codes are read: ``real = (code - zero) * scale``. ``scale`` is the float32 of the file, widened."""

    scale: float
    zero: int

    @classmethod
    def of_range(cls, low: float, high: float, *, fallback: float = 1.0) -> Quantization:
        """The uint8 quantization that spans [low, high] widened to hold 0, so that 0 is a code of its own.

        Args:
            low: smallest real value to represent.
            high: largest real value to represent.
            fallback: the range's width where the tensor is always zero and any scale would do.
        """
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        width = high - low
        if not width > np.finfo(np.float32).tiny * 2**16:
            low, width = 0.0, fallback
        scale = float(np.float32(width / QMAX))
        return cls(scale, int(np.clip(np.rint(-low / scale), QMIN, QMAX)))

    @property
    def low(self) -> float:
        """The real value of code 0."""
        return (QMIN - self.zero) * self.scale

    @property
    def high(self) -> float:
        """The real value of code 255."""
        return (QMAX - self.zero) * self.scale

    def quantize(self, values: Array) -> NDArray[np.uint8]:
        """ONNX's QuantizeLinear: float32 division, round half to even, saturate."""
        steps = np.rint(values.astype(np.float32) / np.float32(self.scale))
        codes: NDArray[np.uint8] = np.clip(steps + np.float32(self.zero), QMIN, QMAX).astype(np.uint8)
        return codes

    def dequantize(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """ONNX's DequantizeLinear: (code - zero) * scale, one float32 product."""
        real: NDArray[np.float32] = (codes.astype(np.int32) - self.zero).astype(np.float32) * np.float32(self.scale)
        return real


@dataclass(frozen=True)
class Activation:
    """An activation inside a kernel.

    ``slope`` is float32 (C, 1, 1) or (1, 1, 1), for "prelu" and "leaky"; ``low`` and ``high`` are the real bounds of
    "clip".
    """

    kind: Literal["relu", "prelu", "leaky", "clip"]
    slope: NDArray[np.float32] | None = None
    low: float = -np.inf
    high: float = np.inf


def multiplier(scale_in: float, scale_weight: Array | float, scale_out: float) -> NDArray[np.float32]:
    """float32(s_x * s_w / s_y), the products in float64: the factor from accumulator steps to output steps."""
    wide = np.float64(scale_in) * np.asarray(scale_weight, np.float64) / np.float64(scale_out)
    return np.asarray(wide, np.float32)


def final_bounds(activation: Activation | None, out: Quantization) -> tuple[np.float32, np.float32]:
    """The integer bounds, in output steps from the zero point, that saturation and a last Relu or Clip leave."""
    low, high = float(QMIN - out.zero), float(QMAX - out.zero)
    if activation is not None and activation.kind == "relu":
        low = max(low, 0.0)
    if activation is not None and activation.kind == "clip":
        low = max(low, float(np.rint(np.float64(activation.low) / np.float64(out.scale))))
        high = min(high, float(np.rint(np.float64(activation.high) / np.float64(out.scale))))
    return np.float32(low), np.float32(high)


def activate(values: NDArray[np.float32], activation: Activation, out: Quantization) -> NDArray[np.float32]:
    """An activation with more to come before rounding, or one with a slope. ``values`` (C, h, w), in output steps."""
    if activation.kind == "relu":
        return np.maximum(values, np.float32(0))
    if activation.kind == "clip":
        low = np.float32(np.float64(activation.low) / np.float64(out.scale))
        high = np.float32(np.float64(activation.high) / np.float64(out.scale))
        return np.minimum(np.maximum(values, low), high)
    assert activation.slope is not None
    return np.where(values < 0, values * activation.slope, values)


def scaled(codes: NDArray[np.uint8], zero: int, factor: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32(q - z) * m: codes as real numbers in output steps."""
    values: NDArray[np.float32] = (codes.astype(np.int16) - np.int16(zero)).astype(np.float32) * factor
    return values


def finish(values: NDArray[np.float32], last: Activation | None, out: Quantization) -> NDArray[np.uint8]:
    """The end of every kernel: last activation, clamp in float32, round half to even, add the zero point."""
    if last is not None and last.slope is not None:
        values = activate(values, last, out)
    low, high = final_bounds(last, out)
    rounded = np.rint(np.minimum(np.maximum(values, low), high))
    return (rounded + np.float32(out.zero)).astype(np.uint8)


def requantize(codes: NDArray[np.uint8], given: Quantization, wanted: Quantization) -> NDArray[np.uint8]:
    """The same numbers as codes of another quantization; the codes themselves where both are equal."""
    if given == wanted:
        return codes
    return finish(scaled(codes, given.zero, multiplier(given.scale, 1.0, wanted.scale)), None, wanted)
