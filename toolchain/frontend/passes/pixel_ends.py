"""Pixels of type uint8 at the ends of a model become floats of the same numbers.

Casts, and what rounds before the last of them, are how such a model says what the integer network does by itself. A
last cast that nothing rounds for cuts fractions off, which is rounding of half a number less.
After: both ends are float32; there is no Cast from or to uint8 at them.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.facts import Facts
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import FLOAT_ENDS

_MOVING = ("Transpose", "Clip", "Identity", "Min", "Max", "Gather", "Reshape", "DepthToSpace", "Relu")


@model_pass(ensures=(FLOAT_ENDS,))
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Rewrite in place; says what was done."""
    graph = model.graph
    ends = [
        value for value in (graph.input[0], graph.output[0]) if value.type.tensor_type.elem_type == TensorProto.UINT8
    ]
    if graph.input[0] in ends:
        _open_input(graph)
    if graph.output[0] in ends:
        _open_output(graph)
    for value in ends:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    return facts.said("took uint8 pixels at its ends for the numbers 0..255" if ends else "")


def _open_input(graph: onnx.GraphProto) -> None:
    """Let what moves uint8 about move floats; casts of it to float do nothing any more."""
    pixels = {graph.input[0].name}
    for node in graph.node:
        if not pixels & set(node.input):
            continue
        if node.op_type == "Cast":
            _become(node, "Identity")
        elif node.op_type in _MOVING:
            pixels.update(node.output)


def _open_output(graph: onnx.GraphProto) -> None:
    makers = {name: node for node in graph.node for name in node.output}
    node, cast, after, rounding = makers.get(graph.output[0].name), None, None, False
    while node is not None:
        if node.op_type == "Cast" and cast is None:
            cast = node
        elif node.op_type == "Round" and cast is not None:
            _become(node, "Identity")
            rounding = True
        elif node.op_type not in _MOVING:
            break
        after, node = node, makers.get(node.input[0])
    if cast is None or after is None:
        return
    _become(cast, "Identity")
    if not rounding:
        name = f"{cast.output[0]}_less_half"
        graph.initializer.append(numpy_helper.from_array(np.asarray(0.5, np.float32), f"{name}_by"))
        graph.node.append(helper.make_node("Sub", [after.input[0], f"{name}_by"], [name], name=name))
        after.input[0] = name


def _become(node: onnx.NodeProto, kind: str) -> None:
    node.op_type = kind
    del node.attribute[:]
