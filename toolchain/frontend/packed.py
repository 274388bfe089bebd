"""Weights that are stored in fewer than 8 bits, in the spellings that runtimes fold to int8 when they load a network.

INT4 -> Cast(INT8) -> DequantizeLinear, and places in a codebook: UINT4 -> Cast(INT32) -> Gather(codebook of int8) ->
DequantizeLinear. onnxruntime 1.32 runs both as integer convolutions, and a DequantizeLinear of INT4 itself in float.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend.graph import Array, attributes, known_constants
from toolchain.support.errors import ModelError

NARROW = tuple(np.dtype(kind) for kind in (ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2))


def unpack(model: onnx.ModelProto) -> int:
    """Store as int8, in place, what a model makes of constants of fewer bits by Cast and Gather; return how many
    constants were so.

    Raises:
        ModelError: a codebook has no such place.
    """
    constants = known_constants(model)
    narrow = {name for name, value in constants.items() if value.dtype in NARROW}
    if not narrow:
        return 0
    made: dict[str, Array] = {}
    kept = []
    for node in model.graph.node:
        value = _made(node, {**constants, **made}, {*narrow, *made})
        if value is None:
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
        else:
            made[node.output[0]] = value
    read = {name for node in kept for name in node.input} | {end.name for end in model.graph.output}
    left = [item for item in model.graph.initializer if item.name in read]
    stored = [numpy_helper.from_array(value, name) for name, value in made.items() if name in read]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend([*left, *stored])
    return len(stored)


def _made(node: onnx.NodeProto, constants: dict[str, Array], narrow: set[str]) -> Array | None:
    """Return what ``node`` makes of ``narrow`` constants; None where it is not one of these nodes."""
    if node.op_type == "Cast" and node.input[0] in narrow:
        kind = helper.tensor_dtype_to_np_dtype(attributes(node)["to"])
        wide: Array = constants[node.input[0]].astype(np.int64)
        return wide.astype(kind) if kind.kind in "iu" else None
    if node.op_type != "Gather" or node.input[1] not in narrow or node.input[0] not in constants:
        return None
    book, places = constants[node.input[0]], constants[node.input[1]]
    if book.ndim != 1 or attributes(node).get("axis", 0) != 0 or places.dtype not in (np.int32, np.int64):
        return None
    if places.size and not -len(book) <= places.min() <= places.max() < len(book):
        raise ModelError(f"'{node.input[1]}' names places that its codebook of {len(book)} entries does not have")
    taken: Array = book[places]
    return taken
