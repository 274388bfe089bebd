"""Reading an ONNX file that nobody vouches for.

Everything a file claims (places of external data, sizes, shapes) is checked before it is used; nothing outside the
model's own folder is ever opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

from toolchain.frontend.explain import refusal
from toolchain.frontend.external import read_external
from toolchain.frontend.functions import check_size
from toolchain.frontend.graph import known_constants
from toolchain.frontend.kinds import folder_kind, kind_of
from toolchain.frontend.readers import reader_for
from toolchain.frontend.repair import repair
from toolchain.support.errors import ModelError

LARGEST_WEIGHT = 1e18
"""The largest magnitude in a tensor with more than one axis: two such numbers multiplied still fit into float32."""

_DIVERGED = "training diverged, or the file is damaged"

MAX_BYTES = 512 << 20
"""Largest model file, and largest sum of external data. Mobile super-resolution networks have some 100 KB."""

OLDEST_OPSET = 7

IR_VERSION = 11
"""Models of later file formats are taken as of this one: what those brought (2-bit types, several devices) is not used
here, and onnxruntime refuses versions that are newer than itself, which the newest `onnx` writes."""

_DAMAGED = "the file is damaged"

_QUANTIZED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "QGemm",
}


def load_model(path: Path) -> onnx.ModelProto:
    """Read and check an ONNX file; external data is read too and then lies inside the returned model.

    Files of other formats are made into such a model by `toolchain.frontend.readers`.

    Raises:
        ModelError: not a readable file, of no known format, truncated, too large; external data outside the model's
            folder or not matching its tensor; NaN or infinite weights; an operator set this toolchain does not know.
    """
    path = Path(path)
    data = _read(path)
    reader = reader_for(data)
    model = reader.read(path, data) if reader else _parse(path, data)
    budget = MAX_BYTES
    for tensor in tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            budget -= read_external(tensor, path.parent, budget)
    check_size(model)
    _check_names(path, model.graph)
    repair(model)
    try:
        checker.check_model(model)
    except Exception as error:  # onnx raises its own errors, and what its bindings make of others
        raise refusal(f"{path} is not a valid ONNX model", error) from error
    _check_opset(path, model)
    for tensor in tensors(model):
        _check_values(path, tensor)
    model.ir_version = min(model.ir_version, IR_VERSION)
    return model


def is_quantized(model: onnx.ModelProto) -> bool:
    """Return whether the model has been quantized already (by whatever tool): it holds quantizing or integer operators.

    One in which nothing but weights are stored as integers is a float model.
    """
    constants = set(known_constants(model))
    for node in model.graph.node:
        stored = node.op_type in ("Cast", "Gather") and constants.issuperset(node.input)
        if stored or (node.op_type == "QuantizeLinear" and node.input[0] in constants):
            constants.update(node.output)
    return any(
        (n.op_type in _QUANTIZED or n.op_type.startswith("QLinear"))
        and not (n.op_type in ("DequantizeLinear", "QuantizeLinear") and n.input[0] in constants)
        for n in model.graph.node
    )


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor a model holds: initializers and attributes, in subgraphs and functions too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        one = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for sparse in [*one, *attribute.sparse_tensors]:
            yield sparse.values
            yield sparse.indices
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            yield from _graph_tensors(graph)


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            if path.is_dir():
                kind = folder_kind(path)
                raise ModelError(f"{path} is {kind.name}, not an ONNX file", hint=kind.hint)
            what = "is not a regular file" if path.exists() else "does not exist"
            raise ModelError(f"{path} {what}", hint="name an .onnx file")
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than {MAX_BYTES >> 20} MB", hint="is it a super-resolution network?")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


def _parse(path: Path, data: bytes) -> onnx.ModelProto:
    if not data:
        raise ModelError(f"{path} is empty", hint="export or download the model again")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        understood = True
    except Exception:  # protobuf's DecodeError, which has no typed home
        understood = False
    # ONNX files begin with their IR version: field 1, a small number.
    begins_well = data[0] == 0x08 and len(data) > 1 and data[1] < 32
    if not understood or not model.ir_version or not model.HasField("graph"):
        if begins_well:
            raise ModelError(f"{path} is a damaged or truncated ONNX file", hint="export or download it again")
        kind = kind_of(data)
        looks = f", it looks like {kind.name}" if kind.name else ""
        raise ModelError(f"{path} is not an ONNX file{looks}", hint=kind.hint)
    if not model.opset_import or not model.graph.node or not model.graph.output:
        raise ModelError(
            f"{path} is a damaged or truncated ONNX file: parts of the graph are missing",
            hint="export or download it again",
        )
    return model


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    newest = onnx.defs.onnx_opset_version()
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and not OLDEST_OPSET <= entry.version <= newest:
            raise ModelError(
                f"{path} uses ONNX opset {entry.version}, which is not supported",
                hint=f"export it with an opset from {OLDEST_OPSET} to 24 (readable: {OLDEST_OPSET} to {newest})",
            )


def _check_names(path: Path, graph: onnx.GraphProto) -> None:
    """Names that are not UTF-8 come out of protobuf as bytes, and cannot be written again."""
    names = [
        graph.name,
        *(n for node in graph.node for n in (node.name, node.op_type, *node.input, *node.output)),
        *(t.name for t in graph.initializer),
        *(v.name for v in [*graph.input, *graph.output]),
    ]
    if not all(isinstance(n, str) for n in names):
        raise ModelError(f"{path} holds a name that is not text", hint=_DAMAGED)


def _check_values(path: Path, tensor: onnx.TensorProto) -> None:
    if any(d < 0 for d in tensor.dims):
        raise ModelError(f"{path}: tensor '{tensor.name}' has a negative dimension", hint="the file is damaged")
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if tensor.HasField("raw_data") and tensor.data_type not in _PACKED:
            expected = math.prod(tensor.dims) * dtype.itemsize
            if len(tensor.raw_data) != expected:
                raise ModelError(
                    f"{path}: tensor '{tensor.name}' has {len(tensor.raw_data)} bytes, not {expected}", hint=_DAMAGED
                )
        if tensor.data_type == TensorProto.STRING:
            return
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ModelError(f"{path}: tensor '{tensor.name}' cannot be read: {error}", hint=_DAMAGED) from error
    if tensor.data_type not in _FLOATS:
        return
    with np.errstate(invalid="ignore"):  # signalling NaNs complain when they are converted
        wide = values.astype(np.float64)
    # A lone infinity is the open bound of a Clip.
    bad = int((np.isnan(wide) if wide.ndim == 0 else ~np.isfinite(wide)).sum())
    if bad:
        raise ModelError(
            f"{path}: weight '{tensor.name}' holds {bad} NaN or infinite value{'s' * (bad != 1)}", hint=_DIVERGED
        )
    # Bounds of a Clip may be as large as float32 goes; what is multiplied may not, or products overflow.
    if wide.ndim > 1 and np.abs(wide).max(initial=0.0) > LARGEST_WEIGHT:
        raise ModelError(f"{path}: weight '{tensor.name}' holds values of {np.abs(wide).max():.1e}", hint=_DIVERGED)


_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
_PACKED = {
    TensorProto.INT4,
    TensorProto.UINT4,
    TensorProto.FLOAT4E2M1,
    getattr(TensorProto, "INT2", -1),
    getattr(TensorProto, "UINT2", -1),
}
