"""Running float models in onnxruntime and finding concrete shapes: how the frontend learns what a graph really does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from toolchain.errors import ModelError
from toolchain.frontend.graph import Array, Graph


def session(model: onnx.ModelProto) -> Any:
    """An onnxruntime session on one thread, quiet, with only the safest optimizations.

    Raises:
        ModelError: onnxruntime does not accept the model.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class but Exception
        raise ModelError(f"the model cannot be executed: {short(error)}") from error


def run(model: onnx.ModelProto, pixels: Array) -> Array:
    """The first output for one input, both float; the input is converted to the type the model asks for.

    Raises:
        ModelError: the model cannot be executed, or not at this size.
    """
    ready = session(model)
    source = ready.get_inputs()[0]
    wanted = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(source.type, np.float32)
    try:
        result: Array = ready.run(None, {source.name: pixels.astype(wanted)})[0]
    except Exception as error:  # as above
        raise ModelError(f"the model cannot be executed on an input of shape {pixels.shape}: {short(error)}") from error
    return result


def short(error: Exception) -> str:
    """The first line of an exception, without onnxruntime's prefixes."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text.split(" : ")[-1].split("Status Message: ")[-1].split(" failed: ")[-1].rstrip(". ")[:300]


def operands(graph: Graph, names: Iterable[str]) -> dict[str, Array]:
    """Values of integer tensors, constant or computed from the input's shape, at the probe's shape."""
    wanted = sorted({n for n in names if n})
    found = {n: graph.constants[n] for n in wanted if n in graph.constants}
    return found | values(graph, [n for n in wanted if n not in found], np.zeros(graph.probe, np.float32))


def values(graph: Graph, names: Iterable[str], picture: Array) -> dict[str, Array]:
    """Computed values, or the input, for a float32 ``picture`` of the probe's shape.

    Raises:
        ModelError: onnxruntime does not accept the graph.
    """
    names = set(names)
    computed = sorted(names - {graph.input})
    found = {graph.input: picture}
    if computed:
        model = graph.to_model(input_shape=graph.probe, output_shape=None)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in computed)
        found.update(zip(computed, session(model).run(computed, {graph.input: picture}), strict=True))
    return {name: found[name] for name in names}


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
    """The outputs of one node for given inputs, by ONNX's reference implementation (opset 17)."""
    from onnx.reference import ReferenceEvaluator

    feeds = {n: v for n, v in zip(node.input, inputs, strict=True) if n and v is not None}
    ends = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), None) for n, v in feeds.items()]
    out = [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in node.output if n]
    model = helper.make_model(helper.make_graph([node], "node", ends, out), opset_imports=[helper.make_opsetid("", 17)])
    return [np.asarray(v) for v in ReferenceEvaluator(model).run(None, feeds)]
