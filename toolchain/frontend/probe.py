"""Running float models in onnxruntime and finding concrete shapes: how the frontend learns what a graph really does."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from toolchain.frontend.graph import OPSET, Array, Graph
from toolchain.frontend.session import FloatSession

_REFERENCE = {"DequantizeLinear": 19, "QuantizeLinear": 19}
"""The first opset in which the reference implementation has an operator that means the same in 17."""


def session(model: onnx.ModelProto) -> FloatSession:
    """Return the model on one thread, with only the safest optimizations.

    Raises:
        ModelError: onnxruntime does not accept the model.
    """
    return FloatSession(model, threads=1, basic=True)


def run(model: onnx.ModelProto, pixels: Array) -> Array:
    """Return the first output for one input, both float; the input is converted to the type the model asks for.

    Raises:
        ModelError: the model cannot be executed, or not at this size.
    """
    ready = session(model)
    wanted = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(ready.dtype, np.float32)
    return ready.run(None, pixels.astype(wanted))[0]


def operands(graph: Graph, names: Iterable[str]) -> dict[str, Array]:
    """Return values of integer tensors, constant or computed from the input's shape, at the probe's shape."""
    wanted = sorted({n for n in names if n})
    found = {n: graph.constants[n] for n in wanted if n in graph.constants}
    return found | values(graph, [n for n in wanted if n not in found], np.zeros(graph.probe, np.float32))


def values(graph: Graph, names: Iterable[str], picture: Array) -> dict[str, Array]:
    """Return computed values, or the input, for a float32 ``picture`` of the probe's shape.

    Raises:
        ModelError: onnxruntime does not accept the graph.
    """
    names = set(names)
    wanted = sorted(names - {graph.input})
    found = {graph.input: picture}
    if wanted:
        model = graph.to_model(input_shape=graph.probe, output_shape=None)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in wanted)
        _prune(model.graph)
        found.update(zip(wanted, session(model).run(wanted, picture), strict=True))
    return {name: found[name] for name in names}


def _prune(graph: onnx.GraphProto) -> None:
    """Drop what the outputs do not need."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    names, kept = [value.name for value in graph.output], set[int]()
    while names:
        index = makers.get(names.pop())
        if index is not None and index not in kept:
            kept.add(index)
            names.extend(graph.node[index].input)
    nodes = [graph.node[index] for index in sorted(kept)]
    used = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    for whole, part in ((graph.node, nodes), (graph.initializer, tensors)):
        del whole[:]
        whole.extend(part)


def computed(graph: Graph, names: Iterable[str], size: tuple[int, int]) -> dict[str, Array]:
    """Return integer tensors that are computed from the input's shape, for a picture of ``size`` (height, width).

    Raises:
        ModelError: they cannot be, at this size.
    """
    probe = graph.probe
    graph.probe = (*probe[:2], *size)
    try:
        return operands(graph, names)
    finally:
        graph.probe = probe


def shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of all values at the probe's shape, as far as ONNX's shape inference finds them."""
    model = graph.to_model(input_shape=graph.probe, output_shape=None, weights=False)
    # What is computed from shapes is put in as constants, so that inference need not follow the computation.
    dynamic = {n.input[1] for n in graph.nodes if n.op_type in ("Reshape", "Expand", "Tile") and len(n.input) > 1}
    dynamic |= {n for node in graph.nodes if node.op_type in ("Resize", "Slice", "Pad") for n in node.input[1:]}
    dynamic = {n for n in dynamic if n and n not in graph.constants}
    if dynamic:
        values = operands(graph, dynamic)
        for node in model.graph.node:
            for i, name in enumerate(node.input):
                if name in dynamic:
                    node.input[i] = f"{name}@probe"
        model.graph.initializer.extend(numpy_helper.from_array(v, f"{n}@probe") for n, v in values.items())
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    result = {n: v.shape for n, v in graph.constants.items()}
    for value in [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]:
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            result[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return result


def evaluate(node: onnx.NodeProto, inputs: list[Array | None]) -> list[Array]:
    """Return the outputs of one node of opset 17 for given inputs, by ONNX's reference implementation."""
    from onnx.reference import ReferenceEvaluator

    feeds = {n: v for n, v in zip(node.input, inputs, strict=True) if n and v is not None}
    ends = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), None) for n, v in feeds.items()]
    out = [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in node.output if n]
    opset = _REFERENCE.get(node.op_type, OPSET)
    graph = helper.make_graph([node], "node", ends, out)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return [np.asarray(v) for v in ReferenceEvaluator(model).run(None, feeds)]
