"""Normalization over the channels of each pixel: how a QDQ graph spells it, and its arithmetic.

With C channels, ``d = float32(C * q - sum of q)`` is C times how far a code is from the mean, whatever the zero point.
The squares of d add up in float32 in the order of channels, to t, and ``r = 1 / sqrt(t * (s_x**2 / C**3) + epsilon)``
by `inverse_root`, in sums and products only. The result is ``d * r * g + b`` in steps of the output, with ``g = gain *
s_x / (C * s_y)`` and ``b = offset / s_y``. Each operation is rounded by itself: no device need know a root or a
quotient exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.frontend.graph import TO_FIRST, TO_LAST
from toolchain.reference.arithmetic import finish
from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.quantization import CodeArray
from toolchain.reference.steps import Codes, NormalizationStep

Reals = NDArray[np.float32]

GUESS = 0x5F3759DF
"""Less half of a float32's bits, these are those of about the inverse of its root: 3.5 % off at most."""

ROUNDS = 3
"""Of Newton's iteration: each squares the error, the third leaves what float32 rounds."""


def read_normalization(
    node: onnx.NodeProto, view: GraphView, codes: Mapping[str, Codes], out: Codes
) -> NormalizationStep | None:
    """Return the normalization over channels of codes that ends in ``node``, a Transpose."""
    found = normalization_before(node, view)
    source = codes.get(found[0].input[0]) if found is not None else None
    if found is None or source is None:
        return None
    normal = found[1]
    gains, offsets = (view.constants[name].astype(np.float32) for name in normal.input[1:])
    return NormalizationStep(out, source, gains, offsets, float(attributes(normal).get("epsilon", 1e-5)))


def normalization_before(node: onnx.NodeProto, view: GraphView) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """Return the Transpose and the LayerNormalization by constants that ``node`` follows, as a Transpose that ends a
    normalization over channels; None if it does not.
    """
    normal = view.producers.get(node.input[0]) if _orders(node, TO_FIRST) else None
    if normal is None or normal.op_type != "LayerNormalization" or len(normal.input) != 3:
        return None
    across = view.producers.get(normal.input[0])
    if across is None or not _orders(across, TO_LAST) or attributes(normal).get("axis", -1) not in (-1, 3):
        return None
    if any(name not in view.constants or view.constants[name].ndim != 1 for name in normal.input[1:]):
        return None
    return across, normal


def run_normalization(step: NormalizationStep, values: Mapping[str, CodeArray]) -> CodeArray:
    """Return the codes (C, h, w) of ``step``, of ``values`` by name."""
    codes = values[step.source.tensor].astype(np.int64)
    centred = (len(codes) * codes - codes.sum(axis=0)).astype(np.float32)
    total = np.zeros(codes.shape[1:], np.float32)
    for channel in centred:
        total += channel * channel
    spread, gains, offsets = normalization_factors(step)
    root = inverse_root(total * spread + np.float32(step.epsilon))
    return finish(centred * root * gains + offsets, None, step.out.quantization)


def normalization_factors(step: NormalizationStep) -> tuple[np.float32, Reals, Reals]:
    """Return float32(s_x**2 / C**3), and g and b of every channel, (C, 1, 1)."""
    scale, wanted = np.float64(step.source.quantization.scale), np.float64(step.out.quantization.scale)
    count = np.float64(len(step.gains))
    gains, offsets = (
        (values.astype(np.float64) * factor / wanted).astype(np.float32).reshape(-1, 1, 1)
        for values, factor in ((step.gains, scale / count), (step.offsets, np.float64(1)))
    )
    return np.float32(scale**2 / count**3), gains, offsets


def inverse_root(values: Reals) -> Reals:
    """Return about 1 / sqrt(``values``): Newton's iteration from a guess at the bits, the same on every device."""
    half = values * np.float32(0.5)
    root = (np.int32(GUESS) - (values.view(np.int32) >> 1)).view(np.float32)
    for _ in range(ROUNDS):
        root = root * (np.float32(1.5) - half * root * root)
    return root


def _orders(node: onnx.NodeProto, order: list[int]) -> bool:
    return node.op_type == "Transpose" and list(attributes(node).get("perm", [])) == order
