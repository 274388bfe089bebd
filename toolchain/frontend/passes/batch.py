"""A batch that is fixed to another number than 1 becomes 1.

Networks treat the pictures of a batch alike; where the number is written into shapes, it is replaced there too.
After: the graph's ends have a batch of 1.
"""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import known_constants
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import BATCH_OF_ONE

_SHAPES = {"Reshape": 1, "Expand": 1, "Resize": 3}
"""Operators with a shape among their inputs, and where it stands."""


@model_pass(ensures=(BATCH_OF_ONE,))
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Rewrite in place; says what was done."""
    batch = facts.interface.batch
    if batch == 1:
        return facts
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) and dims[0].dim_value == batch:
            dims[0].dim_value = 1
    constants = known_constants(model)
    for node in model.graph.node:
        position = _SHAPES.get(node.op_type)
        if position is None or len(node.input) <= position:
            continue
        shape = constants.get(node.input[position])
        if shape is None or shape.ndim != 1 or not shape.size or shape[0] != batch:
            continue
        one = shape.copy()
        one[0] = 1
        name = f"{node.output[0]}_of_one"
        model.graph.initializer.append(numpy_helper.from_array(one, name))
        node.input[position] = name
    return facts.said(f"took the batch for one picture, which was fixed to {batch}")
