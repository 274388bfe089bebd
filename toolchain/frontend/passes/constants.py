"""Whatever depends on constants only is computed now.

After: no Constant node; no operator with constants as its only inputs, unless its result would be large.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import evaluate
from toolchain.frontend.properties import NO_CONSTANT_NODES
from toolchain.support.errors import ModelError

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
_GROWING = {"ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Pad", "OneHot", "CenterCropPad"}
_MAX_ELEMENTS = 1 << 22


@graph_pass(ensures=(NO_CONSTANT_NODES,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Fold; says what was done.

    Raises:
        ModelError: the output does not depend on the input.
    """
    folded = 0
    for node in list(graph.nodes):
        inputs = [graph.constant(i) if i else None for i in node.input]
        if any(i and v is None for i, v in zip(node.input, inputs, strict=True)) or node.op_type in _RANDOM:
            continue
        if node.op_type == "Constant":
            results = [_constant(node)]
        elif _grows(node, inputs):
            continue
        else:
            try:
                results = evaluate(node, inputs)
            except Exception:  # the reference implementation lacks it: it stays in the graph
                continue
            folded += 1
        for name, value in zip((o for o in node.output if o), results, strict=True):
            graph.constants[name] = value
        graph.remove([node])
    if graph.output in graph.constants:
        raise ModelError("the model's output does not depend on its input", hint="is it the right file?")
    graph.tidy()
    return facts.said(f"folded {folded} constant operators" if folded else "")


def _constant(node: onnx.NodeProto) -> Array:
    values = attributes(node)
    if "value" in values:
        return np.asarray(numpy_helper.to_array(values["value"]))
    name, value = next(iter(values.items()), ("", None))
    if name not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise ModelError(
            f"constant '{node.output[0]}' holds neither numbers nor a tensor", hint="export the model again"
        )
    return np.asarray(value, dtype=np.float32 if "float" in name else np.int64)


def _grows(node: onnx.NodeProto, inputs: list[Array | None]) -> bool:
    """Whether the result could be far larger than the operands: a few bytes in a file can ask for terabytes."""
    total = sum(float(v.size) for v in inputs if v is not None)
    if node.op_type not in _GROWING:
        return total > _MAX_ELEMENTS * 8
    for value in inputs:
        if value is None or value.size == 0 or value.dtype.kind not in "iuf":
            continue
        if value.size < 64:
            total = max(total, float(np.prod(np.maximum(np.abs(value.astype(np.float64)), 1.0))) * max(total, 1.0))
    return total > _MAX_ELEMENTS
