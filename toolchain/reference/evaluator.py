"""Float operators between integer kernels, by ONNX's reference implementation; interpolation by ours, which is fast."""

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
    return ReferenceEvaluator(model, new_ops=[Resize])


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
