"""Pooling of the whole picture: how a QDQ graph spells it, and its arithmetic, which is integer up to the mean.

The sum S of N codes is exact; ``F = (S * 2**k + N // 2) // N`` is their mean with k bits behind the point, k being 24
less the bits of a code, so that ``F - z * 2**k`` is exact in float32; the result is that times ``m = float32(s_x / (s_y
* 2**k))``, rounded. No order of summation changes a bit. 64 bits hold the numerator for 2**31 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.reference.arithmetic import finish, multiplier
from toolchain.reference.quantization import CodeArray, Quantization
from toolchain.reference.steps import Activation, Codes, GlobalPoolStep

MANTISSA = 24
"""Bits of whole numbers that float32 holds."""


def read_pool(
    node: onnx.NodeProto, codes: Mapping[str, Codes], out: Codes, after: Activation | None
) -> GlobalPoolStep | None:
    """Return the step that ``node`` and the activation after it are."""
    source = codes.get(node.input[0]) if node.input else None
    if source is None or (after is not None and after.slopes is not None):
        return None
    if node.op_type == "GlobalAveragePool":
        return GlobalPoolStep(out, source, "average", after)
    return GlobalPoolStep(out, source, "max", after) if node.op_type == "GlobalMaxPool" else None


def run_pool(step: GlobalPoolStep, values: Mapping[str, CodeArray]) -> CodeArray:
    """Return the codes (C, 1, 1) of ``step``, of ``values`` by name."""
    codes = values[step.source.tensor]
    shift, given, count = fraction_bits(step.source.quantization), step.source.quantization, codes[0].size
    if step.kind == "max":
        fixed = codes.max(axis=(1, 2), keepdims=True).astype(np.int64) << shift
    else:
        sums = codes.sum(axis=(1, 2), keepdims=True, dtype=np.int64)
        fixed = ((sums << shift) + count // 2) // count
    return finish(pooled_reals(fixed, given, step.out.quantization), step.after, step.out.quantization)


def pooled_reals(fixed: NDArray[np.int64], given: Quantization, out: Quantization) -> NDArray[np.float32]:
    """Return codes with `fraction_bits` behind the point as real numbers in steps of ``out``."""
    centred = (fixed - (given.zero_point << fraction_bits(given))).astype(np.float32)
    return np.asarray(centred * pool_multiplier(given, out), np.float32)


def pool_multiplier(given: Quantization, out: Quantization) -> np.float32:
    """float32(s_x / (s_y * 2**k))."""
    return np.float32(multiplier(given.scale, 2.0 ** -fraction_bits(given), out.scale))


def fraction_bits(given: Quantization) -> int:
    """Bits behind the point of a mean of codes."""
    return MANTISSA - given.bits
