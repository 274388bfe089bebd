"""The integer arithmetic of a quantized network, written once: every kernel on every target gives these bits.

Activations are uint8 codes ``q``, or uint16 where a tensor is kept at 16 bits, that stand for ``(q - z) * scale``, z
being the zero point; weights are int8, biases int32. A kernel accumulates exactly, then works in float32 in units of
the output's scale, clamps, rounds half to even and adds the output's zero point. Each float32 operation below is
rounded by itself: no fused multiply-add.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolchain.reference.graph import Array
from toolchain.reference.quantization import QMIN, CodeArray, Quantization
from toolchain.reference.steps import Activation


def multiplier(scale_in: float, scale_weight: Array | float, scale_out: float) -> NDArray[np.float32]:
    """float32(s_x * s_w / s_y), the products in float64: the factor from accumulator steps to output steps."""
    wide = np.float64(scale_in) * np.asarray(scale_weight, np.float64) / np.float64(scale_out)
    return np.asarray(wide, np.float32)


def final_bounds(activation: Activation | None, out: Quantization) -> tuple[np.float32, np.float32]:
    """Return the integer bounds, in output steps from the zero point, that saturation and a last Relu or Clip leave."""
    low, high = float(QMIN - out.zero_point), float(out.qmax - out.zero_point)
    if activation is not None:
        low = max(low, float(np.rint(np.float64(activation.low) / np.float64(out.scale))))
        high = min(high, float(np.rint(np.float64(activation.high) / np.float64(out.scale))))
    return np.float32(low), np.float32(high)


def activate(values: NDArray[np.float32], activation: Activation, out: Quantization) -> NDArray[np.float32]:
    """Apply an activation with more to come before rounding, or one with a slope. ``values`` (C, h, w), in output
    steps.
    """
    if activation.slopes is not None:
        return np.where(values < 0, values * activation.slopes.reshape(-1, 1, 1), values)
    with np.errstate(over="ignore"):  # the largest float32 is a limit of many exporters, and none
        low = np.float32(np.float64(activation.low) / np.float64(out.scale))
        high = np.float32(np.float64(activation.high) / np.float64(out.scale))
    return np.minimum(np.maximum(values, low), high)


def scaled(codes: CodeArray, zero_point: int, factor: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32(q - z) * m: codes as real numbers in output steps."""
    values: NDArray[np.float32] = (codes.astype(np.int32) - np.int32(zero_point)).astype(np.float32) * factor
    return values


def finish(values: NDArray[np.float32], after: Activation | None, out: Quantization) -> CodeArray:
    """End a kernel: last activation, clamp in float32, round half to even, add the zero point."""
    if after is not None and after.slopes is not None:
        values = activate(values, after, out)
    low, high = final_bounds(after, out)
    rounded = np.rint(np.minimum(np.maximum(values, low), high))
    codes: CodeArray = (rounded + np.float32(out.zero_point)).astype(out.dtype)
    return codes


def requantize(codes: CodeArray, given: Quantization, wanted: Quantization) -> CodeArray:
    """Return the same numbers as codes of another quantization; the codes themselves where both are equal."""
    if given == wanted:
        return codes
    return finish(scaled(codes, given.zero_point, multiplier(given.scale, 1.0, wanted.scale)), None, wanted)
