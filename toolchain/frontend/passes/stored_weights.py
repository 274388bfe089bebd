"""Weights that are stored as codes become the numbers they stand for.

After: no DequantizeLinear or QuantizeLinear of a constant. Codes of 4 bits, or with a scale a block, have no form in
the opset that networks are brought to.
"""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import known_constants
from toolchain.frontend.packed import unpack
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.stored import dequantized, parameters, requantized, spread


@model_pass()
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Compute them in place; says how many.

    Raises:
        ModelError: codes of a type that is none of integers, or scales that do not fit.
    """
    unpack(model)
    constants, count = known_constants(model), 0
    for node in list(model.graph.node):
        if node.op_type not in ("DequantizeLinear", "QuantizeLinear") or node.input[0] not in constants:
            continue
        value, target = constants[node.input[0]], node.output[0]
        scale, zero = parameters(node, constants)
        scales, zeros = spread(node, value, scale, zero)
        if node.op_type == "QuantizeLinear":
            constants[target] = requantized(value, scales, zeros, zero.dtype)
        else:
            constants[target] = dequantized(node, value, scales, zeros)
            count += 1
        model.graph.initializer.append(numpy_helper.from_array(constants[target], target))
        model.graph.node.remove(node)
    if count:
        read = {name for node in model.graph.node for name in node.input} | {v.name for v in model.graph.output}
        kept = [item for item in model.graph.initializer if item.name in read]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
    return facts.said(f"read {count} constants that were stored as codes" if count else "")
