"""Float operators between integer kernels, by ONNX's reference implementation; by ours: interpolation, which is fast,
and normalization of whole pictures, whose sums are exact enough to be the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from toolchain.frontend.graph import Array
from toolchain.frontend.resize import fraction, read_sampling, resize


def evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    """Return what runs ``model`` in NumPy."""
    return ReferenceEvaluator(model, new_ops=[Resize, InstanceNormalization])


class Resize(OpRun):  # type: ignore[misc]
    """ONNX's Resize of (1, C, h, w) by factors."""

    op_domain = ""

    def _run(
        self,
        x: Array,
        roi: Array | None = None,
        scales: Array | None = None,
        sizes: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array]:
        sampling = read_sampling({name: value for name, value in attributes.items() if value is not None})
        if sampling is None or scales is None or sizes is not None:
            raise NotImplementedError("this Resize is not known")
        return (np.asarray(resize(x, sampling, [fraction(scale) for scale in scales[2:]])),)


class InstanceNormalization(OpRun):  # type: ignore[misc]
    """ONNX's InstanceNormalization, in float64."""

    op_domain = ""

    def _run(self, x: Array, scale: Array, offset: Array, epsilon: float | None = None) -> tuple[Array]:
        axes = tuple(range(2, x.ndim))
        centred = x.astype(np.float64)
        centred -= centred.mean(axis=axes, keepdims=True)
        variance = (centred * centred).mean(axis=axes, keepdims=True)
        scale, offset = (value.astype(np.float64).reshape(-1, *[1] * len(axes)) for value in (scale, offset))
        normed = centred / np.sqrt(variance + np.float64(np.float32(1e-5 if epsilon is None else epsilon)))
        return ((normed * scale + offset).astype(np.float32),)
