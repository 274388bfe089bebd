"""Other floating-point types as float32: what the passes `float64` and `float16` share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, shape_inference

NARROW = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
WIDE = {TensorProto.DOUBLE: "float64"}


def uses(model: onnx.ModelProto, types: Mapping[int, str]) -> bool:
    """Return whether a tensor, a cast or an end of ``model`` has one of ``types``."""
    casts = [a.i for n in model.graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to"]
    ends = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    return any(kind in types for kind in (*(tensor.data_type for tensor in _held(model)), *casts, *ends))


def to_float32(model: onnx.ModelProto, types: Mapping[int, str]) -> str:
    """Convert ``types`` in place, casts between float types to Identity; returns what was done, "" if nothing."""
    found: set[str] = set()
    for tensor in _held(model):
        if tensor.data_type in types:
            found.add(types[tensor.data_type])
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.tensor_type.elem_type in types:
            found.add(types[value.type.tensor_type.elem_type])
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    _casts(model, types)
    return f"converted {' and '.join(sorted(found))} to float32" if found else ""


def _held(model: onnx.ModelProto) -> Iterable[onnx.TensorProto]:
    attributes = [a for n in model.graph.node for a in n.attribute]
    return [*model.graph.initializer, *(a.t for a in attributes if a.HasField("t"))]


def _casts(model: onnx.ModelProto, types: Mapping[int, str]) -> None:
    """Casts to one of ``types`` go to float32; those of what is float32 already do nothing."""
    casts = [n for n in model.graph.node if n.op_type == "Cast"]
    for node in casts:
        to = next(a for a in node.attribute if a.name == "to")
        if to.i in types:
            to.i = TensorProto.FLOAT
    if not casts:
        return
    inferred = shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in [*inferred.value_info, *inferred.input]}
    kinds.update({t.name: t.data_type for t in inferred.initializer})
    for node in casts:
        to = next(a for a in node.attribute if a.name == "to")
        if to.i == TensorProto.FLOAT and kinds.get(node.input[0]) == TensorProto.FLOAT:
            node.op_type = "Identity"
            del node.attribute[:]
