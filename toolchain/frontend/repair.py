"""What onnxruntime reads although it breaks a rule of ONNX: brought into order, before the rules are checked.

After: nodes stand in topological order; initializers need not be inputs too; outputs say their type and rank.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, shape_inference

_FREE_INITIALIZERS = 4
"""The first version of the file format in which an initializer need not be an input of the graph."""

_RANK = 4


def repair(model: onnx.ModelProto) -> None:
    """Change ``model`` in place where it needs it; what cannot be mended is left to the checks."""
    inputs = {value.name for value in model.graph.input}
    if any(tensor.name not in inputs for tensor in model.graph.initializer):
        model.ir_version = max(model.ir_version, _FREE_INITIALIZERS)
    _sort(model.graph)
    _complete_outputs(model)


def _sort(graph: onnx.GraphProto) -> None:
    """Topological order, and no other order than before where that is one already. Cycles stay as they are."""
    made = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{made[name] for name in _reads(node) if name in made} for node in graph.node]
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return
    order: list[int] = []
    state = [0] * len(needs)  # 1: begun, 2: done
    for start in range(len(needs)):
        stack = [start]
        while stack:
            index = stack[-1]
            waiting = [need for need in sorted(needs[index], reverse=True) if state[need] == 0]
            state[index] = max(state[index], 1)
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if state[index] == 1:
                state[index] = 2
                order.append(index)
    nodes = [graph.node[index] for index in order]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _reads(node: onnx.NodeProto) -> set[str]:
    """Return what a node reads, its subgraphs included."""
    found = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
            for inner in graph.node:
                found |= _reads(inner)
    return found


def _complete_outputs(model: onnx.ModelProto) -> None:
    lacking = [value for value in model.graph.output if not _complete(value)]
    if not lacking:
        return
    bare = onnx.ModelProto.FromString(model.SerializeToString())
    try:
        inferred = {value.name: value for value in shape_inference.infer_shapes(bare).graph.output}
    except Exception:  # the checks, or onnxruntime, will say why
        inferred = {}
    for value in lacking:
        found = inferred.get(value.name)
        if found is not None and _complete(found):
            value.type.CopyFrom(found.type)
            continue
        tensor = value.type.tensor_type
        if found is not None and found.type.tensor_type.elem_type:
            tensor.elem_type = found.type.tensor_type.elem_type
        tensor.elem_type = tensor.elem_type or TensorProto.FLOAT
        for _ in range(_RANK):
            tensor.shape.dim.add()


def _complete(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return bool(value.type.HasField("tensor_type") and tensor.elem_type and tensor.HasField("shape"))
