"""Tensors of float64 become float32.

onnxruntime has few operators for float64. After: no float64 in weights, constants, casts or at the model's ends.
"""

from __future__ import annotations

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.float_types import WIDE, to_float32
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import NO_FLOAT64, NO_FUNCTIONS


@model_pass(requires=(NO_FUNCTIONS,), ensures=(NO_FLOAT64,))
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Convert in place; says what was done."""
    return facts.said(to_float32(model, WIDE))
