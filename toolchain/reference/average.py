"""Averages of windows that leave out what lies beyond the picture: how a QDQ graph spells them, and their arithmetic.

The sum of a window's codes, less their zero point, is exact in float32; it is multiplied by ``float32(s_x / (s_y *
N))``, N being how many pixels of the picture the window has, and rounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.reference.arithmetic import finish, multiplier
from toolchain.reference.graph import attributes
from toolchain.reference.quantization import CodeArray, Quantization
from toolchain.reference.steps import Activation, AverageStep, Codes

MOST = 256
"""Pixels of a window: so many codes of 16 bits add up to what float32 holds."""


def read_average(
    node: onnx.NodeProto, codes: Mapping[str, Codes], out: Codes, after: Activation | None
) -> AverageStep | None:
    """Return the step that ``node`` and the activation after it are."""
    source = codes.get(node.input[0]) if node.input else None
    if source is None or not averages(node) or (after is not None and after.slopes is not None):
        return None
    found = attributes(node)
    kernel, (down, across) = found["kernel_shape"], found.get("strides", (1, 1))
    pads = tuple(int(pad) for pad in found.get("pads", (0, 0, 0, 0)))
    ceil = bool(found.get("ceil_mode", 0))
    return AverageStep(out, source, (kernel[0], kernel[1]), (down, across), pads, (1, 1), ceil, after)  # type: ignore[arg-type]


def averages(node: onnx.NodeProto) -> bool:
    """Whether a node is an average of windows of pictures that integers can do, with explicit padding."""
    found = attributes(node)
    if node.op_type != "AveragePool" or found.get("auto_pad", "NOTSET") != "NOTSET" or "dilations" in found:
        return False
    kernel, strides, pads = found["kernel_shape"], found.get("strides", (1, 1)), found.get("pads", (0, 0, 0, 0))
    if len(kernel) != 2 or found.get("count_include_pad", 0) or math.prod(kernel) > MOST:
        return False
    if any(pad >= side for pad, side in zip(pads, (*kernel, *kernel), strict=True)):
        return False  # there would be windows of nothing
    ragged = any(pads[2:]) or any(step > side for step, side in zip(strides, kernel, strict=True))
    return not (found.get("ceil_mode", 0) and ragged)


def averaged(codes: CodeArray, step: AverageStep) -> CodeArray:
    """Return the mean of every window of (C, h, w)."""
    given, out = step.source.quantization, step.out.quantization
    counts, sums = np.ones(()), codes.astype(np.int32) - given.zero_point
    for axis in (0, 1):
        first, last = _windows(step, codes.shape[1 + axis], axis)
        ends = np.cumsum(np.insert(sums, 0, 0, 1 + axis), 1 + axis)
        sums = (np.take(ends, last, 1 + axis) - np.take(ends, first, 1 + axis)).astype(np.int32)
        counts = np.multiply.outer(counts, last - first)
    factors = average_multipliers(given, out, step)[counts.astype(np.int64)]
    return finish(sums.astype(np.float32) * factors, step.after, out)


def average_multipliers(given: Quantization, out: Quantization, step: AverageStep) -> NDArray[np.float32]:
    """float32(s_x / (s_y * N)) by N, the pixels of a window; 0 for none."""
    counts = np.arange(1, math.prod(step.kernel) + 1)
    return np.concatenate([np.zeros(1, np.float32), multiplier(given.scale, 1 / counts, out.scale)])


def _windows(step: AverageStep, side: int, axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first pixel of each window, and the one behind its last, within a picture of ``side``."""
    start = np.arange(step.output_side(side, axis)) * step.strides[axis] - step.pads[axis]
    return np.maximum(start, 0), np.minimum(start + step.kernel[axis], side)
