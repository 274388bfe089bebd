"""The integer arithmetic of a quantized network, written once: every kernel on every target gives these bits.

Activations are uint8 codes ``q``, or uint16 where a tensor is kept at 16 bits, that stand for ``(q - zero) * scale``;
weights are int8, biases int32. A kernel
accumulates exactly, then works in float32 in units of the output's scale, clamps, rounds half to even and adds the
output's zero point. Each float32 operation below is rounded by itself: no fused multiply-add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.reference.graph import Array

QMIN, QMAX = 0, 255
BITS, WIDE_BITS = 8, 16
"""Bits of a tensor's codes: of most tensors, and of those that are kept finer."""

CodeArray: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""uint8 codes, or uint16 where the tensor has 16 bits."""


@dataclass(frozen=True)
class Quantization:
    """How codes are read: ``real = (code - zero) * scale``. ``scale`` is the float32 of the file, widened; codes have
    ``bits`` bits, 8 or 16.
    """

    scale: float
    zero: int
    bits: int = BITS

    @classmethod
    def of_range(cls, low: float, high: float, *, fallback: float = 1.0, bits: int = BITS) -> Quantization:
        """The quantization that spans [low, high] widened to hold 0, so that 0 is a code of its own. Of 16 bits, that
        code has two equal bytes, for devices that fill memory with bytes; the span moves by 0.2 % at most.

        Args:
            low: smallest real value to represent.
            high: largest real value to represent.
            fallback: the range's width where the tensor is always zero and any scale would do.
            bits: of the codes.
        """
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        width = high - low
        if not width > np.finfo(np.float32).tiny * 2**16:
            low, width = 0.0, fallback
        most = largest_code(bits)
        scale = float(np.float32(width / most))
        equal = 1 if bits == BITS else 257
        return cls(scale, equal * int(np.clip(np.rint(-low / scale / equal), QMIN, most // equal)), bits)

    @property
    def most(self) -> int:
        """The largest code."""
        return largest_code(self.bits)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the codes: uint8 or uint16."""
        return code_type(self.bits)

    @property
    def low(self) -> float:
        """The real value of code 0."""
        return (QMIN - self.zero) * self.scale

    @property
    def high(self) -> float:
        """The real value of the largest code."""
        return (self.most - self.zero) * self.scale

    def quantize(self, values: Array) -> CodeArray:
        """ONNX's QuantizeLinear: float32 division, round half to even, saturate."""
        steps = np.rint(values.astype(np.float32) / np.float32(self.scale))
        codes: CodeArray = np.clip(steps + np.float32(self.zero), QMIN, self.most).astype(self.dtype)
        return codes

    def dequantize(self, codes: CodeArray) -> NDArray[np.float32]:
        """ONNX's DequantizeLinear: (code - zero) * scale, one float32 product."""
        real: NDArray[np.float32] = (codes.astype(np.int32) - self.zero).astype(np.float32) * np.float32(self.scale)
        return real


def largest_code(bits: int) -> int:
    """The largest of the codes, of which the smallest is 0."""
    return int(2**bits - 1)


def code_type(bits: int) -> np.dtype[Any]:
    """uint8 or uint16."""
    return np.dtype(np.uint8 if bits == BITS else np.uint16)


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
    low, high = float(QMIN - out.zero), float(out.most - out.zero)
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


def scaled(codes: CodeArray, zero: int, factor: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32(q - z) * m: codes as real numbers in output steps."""
    values: NDArray[np.float32] = (codes.astype(np.int32) - np.int32(zero)).astype(np.float32) * factor
    return values


def finish(values: NDArray[np.float32], last: Activation | None, out: Quantization) -> CodeArray:
    """The end of every kernel: last activation, clamp in float32, round half to even, add the zero point."""
    if last is not None and last.slope is not None:
        values = activate(values, last, out)
    low, high = final_bounds(last, out)
    rounded = np.rint(np.minimum(np.maximum(values, low), high))
    codes: CodeArray = (rounded + np.float32(out.zero)).astype(out.dtype)
    return codes


def requantize(codes: CodeArray, given: Quantization, wanted: Quantization) -> CodeArray:
    """The same numbers as codes of another quantization; the codes themselves where both are equal."""
    if given == wanted:
        return codes
    return finish(scaled(codes, given.zero, multiplier(given.scale, 1.0, wanted.scale)), None, wanted)
