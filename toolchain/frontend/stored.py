"""Scales and zero points of QuantizeLinear and DequantizeLinear, and constants that are stored as codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import helper

from toolchain.frontend.graph import Array, attributes
from toolchain.support.errors import ModelError

_INTEGERS = (
    *(np.dtype(kind) for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32)),
    *(np.dtype(kind) for kind in (ml_dtypes.int4, ml_dtypes.uint4)),
)
_HINT = "deploy the float model instead: it is quantized here"


def parameters(node: onnx.NodeProto, constants: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the scale, float32, and the zero point, in the codes' type, of a quantizer.

    Raises:
        ModelError: they are no constants, or the scale is not positive.
    """
    if node.input[1] not in constants or (len(node.input) > 2 and node.input[2] and node.input[2] not in constants):
        raise ModelError(f"the scale of '{node.input[0]}' is computed at run time", hint=_HINT)
    scale = constants[node.input[1]].astype(np.float32)
    zero = constants[node.input[2]] if len(node.input) > 2 and node.input[2] else _no_zero(node, scale, constants)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ModelError(f"the scale of '{node.input[0]}' is not a positive number", hint=_HINT)
    return scale, zero


def _no_zero(node: onnx.NodeProto, scale: Array, constants: Mapping[str, Array]) -> Array:
    """Zeros of the type that codes have where no zero point is given: as ``output_dtype`` says, or uint8."""
    said = attributes(node).get("output_dtype", 0) if node.op_type == "QuantizeLinear" else 0
    given = constants.get(node.input[0])
    dtype = helper.tensor_dtype_to_np_dtype(said) if said else np.dtype(np.uint8)
    if node.op_type == "DequantizeLinear" and given is not None:
        dtype = given.dtype
    return np.zeros(scale.shape, dtype)


def spread(node: onnx.NodeProto, value: Array, scale: Array, zero: Array) -> tuple[Array, Array]:
    """Return scale and zero point such that they broadcast to ``value``: of one number, one a channel or one a block.

    Raises:
        ModelError: they do not fit.
    """
    settings = attributes(node)
    axis, block = settings.get("axis", 1) % max(value.ndim, 1), settings.get("block_size", 0)
    if block and scale.ndim == value.ndim:
        grown = [np.repeat(given, block, axis)[_first(axis, value.shape[axis])] for given in (scale, zero)]
        return grown[0], grown[1]
    shape = [-1 if index == axis else 1 for index in range(value.ndim)] if scale.size > 1 else []
    if scale.size > 1 and (not value.ndim or scale.size != value.shape[axis]):
        raise ModelError(
            f"the constant '{node.input[0]}' has {scale.size} scales for a shape of {value.shape}", hint=_HINT
        )
    return scale.reshape(shape), np.broadcast_to(zero, scale.shape).reshape(shape)


def _first(axis: int, count: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(count))


def dequantized(node: onnx.NodeProto, value: Array, scales: Array, zeros: Array) -> Array:
    """Return the float32 numbers that codes stand for.

    Raises:
        ModelError: codes of a type that is none of integers.
    """
    if value.dtype not in _INTEGERS:
        raise ModelError(f"the constant '{node.input[0]}' is quantized to {value.dtype}, not to integers", hint=_HINT)
    centred = value.astype(np.int64) - zeros.astype(np.int64)
    return (centred.astype(np.float32) * scales).astype(np.float32)


def requantized(value: Array, scales: Array, zeros: Array, dtype: Any) -> Array:
    """Return the codes, of ``dtype``, that QuantizeLinear makes of numbers."""
    limits: Any = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    codes: Array = np.clip(np.rint(value / scales) + zeros.astype(np.float64), limits.min, limits.max).astype(dtype)
    return codes
