"""Pixels of type uint8 at the ends of a model become floats of the same numbers.

Casts, and what rounds before the last of them, are how such a model says what the integer network does by itself. A
last cast that nothing rounds for cuts fractions off, which is rounding of half a number less.
After: both ends are float32; there is no Cast from or to uint8 at them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.facts import Facts
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import FLOAT_ENDS
from toolchain.support.errors import ModelError

_LIMITING = ("Clip", "Min", "Max")
_MOVING = (*_LIMITING, "Transpose", "Identity", "Gather", "Slice", "Reshape", "DepthToSpace", "Relu")
_PARTS = ("Split", "Concat")
_LAST = (*_MOVING, *_PARTS, "Cast", "Round", "Floor")


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
        elif node.op_type in (*_MOVING, *_PARTS):
            pixels.update(node.output)


def _open_output(graph: onnx.GraphProto) -> None:
    last = next((node for node in graph.node if graph.output[0].name in node.output), None)
    found = [] if last is None else _last_steps(graph, last)
    if not any(node.op_type == "Cast" for node in found):
        return
    rounds = [node for node in found if node.op_type == "Round"]
    whole = _is_rounded(graph.output[0].name, {name: node for node in found for name in node.output})
    for node in found:
        if node.op_type in ("Cast", "Round", "Floor"):  # a cast cuts off what Floor does
            _become(node, "Identity")
        elif node.op_type in _LIMITING:
            _limit_floats(graph, node)
    if not whole and rounds:
        raise ModelError(
            "the model's output is rounded in part, and cut off in part", hint="let the whole output be rounded"
        )
    if not whole:
        _take_half(graph, found)


def _is_rounded(name: str, makers: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether all ways to a value lead through a Round."""
    node = makers.get(name)
    if node is None or node.op_type == "Round":
        return node is not None
    return all(_is_rounded(part, makers) for part in (node.input if node.op_type == "Concat" else node.input[:1]))


def _take_half(graph: onnx.GraphProto, steps: list[onnx.NodeProto]) -> None:
    """Subtract half a number from all that comes into the last steps: before limits, which hold after that too."""
    inside = {name for node in steps for name in node.output}
    less: dict[str, str] = {}
    for node in steps:
        for place, name in enumerate(node.input if node.op_type == "Concat" else node.input[:1]):
            if name in inside:
                continue
            if name not in less:
                less[name] = f"{name}_less_half"
                by = f"{less[name]}_by"
                graph.initializer.append(numpy_helper.from_array(np.asarray(0.5, np.float32), by))
                graph.node.append(helper.make_node("Sub", [name, by], [less[name]], name=less[name]))
            node.input[place] = less[name]


def _last_steps(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return ``node`` and those before it that only move, limit, round or cast what comes out, on all ways to it, and
    that nothing else reads.
    """
    makers = {name: maker for maker in graph.node for name in maker.output}
    readers = [(name, reader) for reader in graph.node for name in reader.input]
    found: list[onnx.NodeProto] = []
    stack = [node]
    while stack:
        top = stack.pop()
        read = [reader for name, reader in readers if name in top.output]
        only = top is node or all(any(reader is known for known in found) for reader in read)
        if top.op_type not in _LAST or not only or any(top is known for known in found):
            continue
        found.append(top)
        names = top.input if top.op_type == "Concat" else top.input[:1]
        stack += [makers[name] for name in names if name in makers]
    return found


def _limit_floats(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """Let the bounds of a limit be floats, where they are whole numbers of another type."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for place, name in enumerate(node.input):
        tensor = constants.get(name)
        if tensor is not None and tensor.data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
            values = numpy_helper.to_array(tensor).astype(np.float32)
            node.input[place] = f"{name}_of_floats_{node.output[0]}"
            graph.initializer.append(numpy_helper.from_array(values, node.input[place]))


def _become(node: onnx.NodeProto, kind: str) -> None:
    node.op_type = kind
    del node.attribute[:]
