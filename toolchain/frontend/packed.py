"""Weights that are stored in fewer than 8 bits, in the spellings that runtimes fold to int8 when they load a network.

INT4 -> Cast(INT8) -> DequantizeLinear, and places in a codebook: UINT4 -> Cast(INT32) -> Gather(codebook of int8) ->
DequantizeLinear. Of the former, a few weights of each output may have 8 bits: a ScatterElements puts them in their
places, which are a constant behind a Cast of its own. onnxruntime 1.32 runs all of these as integer convolutions, and
a DequantizeLinear of INT4 itself in float.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend.graph import Array, attributes, known_constants
from toolchain.support.errors import ModelError

NARROW = tuple(np.dtype(kind) for kind in (ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2))


def unpack(model: onnx.ModelProto) -> int:
    """Store as int8, in place, what a model makes of constants of fewer bits by Cast, Gather and ScatterElements;
    return how many constants were so.

    Raises:
        ModelError: a codebook or a tensor has no such place.
    """
    constants = known_constants(model)
    narrow = {name for name, value in constants.items() if value.dtype in NARROW}
    if not narrow:
        return 0
    narrow |= {node.input[0] for node in _makers_of_places(model) if node.input[0] in constants}
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


def _makers_of_places(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Return the Casts that make places of weights of more bits."""
    places = {node.input[1] for node in model.graph.node if node.op_type == "ScatterElements"}
    return (node for node in model.graph.node if node.op_type == "Cast" and node.output[0] in places)


def _made(node: onnx.NodeProto, constants: dict[str, Array], narrow: set[str]) -> Array | None:
    """Return what ``node`` makes of ``narrow`` constants; None where it is not one of these nodes."""
    if node.op_type == "Cast" and node.input[0] in narrow:
        kind = helper.tensor_dtype_to_np_dtype(attributes(node)["to"])
        wide: Array = constants[node.input[0]].astype(np.int64)
        return wide.astype(kind) if kind.kind in "iu" else None
    if node.op_type == "Reshape" and node.input[0] in narrow and node.input[1] in constants:
        shape = [int(size) for size in constants[node.input[1]].reshape(-1)]
        value = constants[node.input[0]]
        return value.reshape(shape) if 0 not in shape and math.prod(shape) == value.size else None
    if node.op_type == "ScatterElements":
        return _scattered(node, constants, narrow)
    if node.op_type != "Gather" or node.input[1] not in narrow or node.input[0] not in constants:
        return None
    book, places = constants[node.input[0]], constants[node.input[1]]
    if book.ndim != 1 or attributes(node).get("axis", 0) != 0 or places.dtype not in (np.int32, np.int64):
        return None
    if places.size and not -len(book) <= places.min() <= places.max() < len(book):
        raise ModelError(f"'{node.input[1]}' names places that its codebook of {len(book)} entries does not have")
    taken: Array = book[places]
    return taken


def _scattered(node: onnx.NodeProto, constants: dict[str, Array], narrow: set[str]) -> Array | None:
    """Return rows of ``narrow`` constants with some of their values exchanged."""
    if node.input[0] not in narrow or any(name not in constants for name in node.input) or len(node.input) != 3:
        return None
    rows, places, values = (constants[name] for name in node.input)
    settings = attributes(node)
    if rows.ndim != 2 or settings.get("axis", 0) != 1 or settings.get("reduction", b"none") not in (b"none", "none"):
        return None
    if places.shape != values.shape or places.ndim != 2 or len(places) != len(rows) or values.dtype != rows.dtype:
        return None
    if places.size and not -rows.shape[1] <= places.min() <= places.max() < rows.shape[1]:
        raise ModelError(f"'{node.input[1]}' names places that '{node.input[0]}' does not have")
    changed = rows.copy()
    np.put_along_axis(changed, places.astype(np.int64), values, axis=1)
    return changed
