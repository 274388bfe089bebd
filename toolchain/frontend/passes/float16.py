"""Tensors of float16 and bfloat16 become float32.

After: neither of them in weights, constants, casts or at the model's ends.
"""

from __future__ import annotations

from dataclasses import replace

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.float_types import NARROW, to_float32
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import NO_FLOAT16, NO_FUNCTIONS


@model_pass(requires=(NO_FUNCTIONS,), ensures=(NO_FLOAT16,))
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Convert in place; says what was done, and that the source rounds more coarsely than float32."""
    done = to_float32(model, NARROW)
    return replace(facts, narrow=bool(done)).said(done)
