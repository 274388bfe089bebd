"""From canonical QDQ ONNX to a Relax module of integer kernels.

``lower_model(model, dot) -> Lowered``
"""

from __future__ import annotations

from toolchain.lower.lowered import Choose, Coverage, Kernel, Lowered, Rehearsal
from toolchain.lower.lowering import geometry_for, import_qdq, lower, lower_layers, lower_model, lower_whole

__all__ = [
    "Choose",
    "Coverage",
    "Kernel",
    "Lowered",
    "Rehearsal",
    "geometry_for",
    "import_qdq",
    "lower",
    "lower_layers",
    "lower_model",
    "lower_whole",
]
