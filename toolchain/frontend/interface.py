"""What the ends of a model look like: one picture in, one picture out, in which layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from toolchain.errors import ModelError
from toolchain.frontend.graph import Array

PROBE_SIZE = (23, 18)
"""Height and width used where a model leaves them free: small, different, not a multiple of usual strides."""

MAX_PIXELS = 1 << 25
"""Largest fixed picture: models are executed on a picture of their own size."""

_HINT = "a super-resolution network takes one picture (1, 1 or 3, height, width) and gives one"
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


@dataclass(frozen=True)
class Interface:
    """The input of a model as it is declared.

    Attributes:
        channels: 1 or 3.
        channels_last: NHWC.
        shape: a concrete shape that the model accepts, in its own layout, batch 1.
        fixed: height and width are fixed by the model.
    """

    channels: int
    channels_last: bool
    shape: tuple[int, ...]
    fixed: bool


def read_interface(model: onnx.ModelProto) -> Interface:
    """Check a model's ends.

    Raises:
        ModelError: not one float picture in and one out; wrong rank, batch or number of channels.
    """
    inputs, outputs = model.graph.input, model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"the model has {len(inputs)} inputs and {len(outputs)} outputs", hint=_HINT)
    for value, end in ((inputs[0], "input"), (outputs[0], "output")):
        kind = value.type.tensor_type.elem_type
        if kind not in _FLOATS:
            name = TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else "untyped"
            raise ModelError(f"the model's {end} '{value.name}' is {name}, not float",
                             hint="export the network without its casts from and to pixels")
    tensor = inputs[0].type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim]
    if not tensor.HasField("shape") or len(dims) != 4:
        rank = len(dims) if tensor.HasField("shape") else "unknown"
        raise ModelError(f"the model's input '{inputs[0].name}' has rank {rank}, not 4", hint=_HINT)
    if dims[0] not in (None, 1):
        raise ModelError(f"the model's batch size is fixed to {dims[0]}",
                         hint="export it with batch size 1 or a free one")
    return _layout(model, inputs[0].name, dims)


def _layout(model: onnx.ModelProto, name: str, dims: list[int | None]) -> Interface:
    last = dims[3] in (1, 3) and dims[1] not in (1, 3)
    channels = dims[3] if last else dims[1]
    if channels is None:
        channels = _channels_of_first_convolution(model, name)
    if channels not in (1, 3):
        raise ModelError(f"the model's input '{name}' has {channels or 'an unknown number of'} channels",
                         hint="networks on Y (1 channel) or RGB (3 channels) can be deployed")
    declared = dims[1:3] if last else dims[2:4]
    height, width = (d or p for d, p in zip(declared, PROBE_SIZE, strict=True))
    if height * width > MAX_PIXELS:
        raise ModelError(f"the model's picture is fixed to {height}x{width}, which is too large to be tried",
                         hint="export it with free height and width")
    shape = (1, height, width, channels) if last else (1, channels, height, width)
    return Interface(channels, last, shape, fixed=None not in declared)


def _channels_of_first_convolution(model: onnx.ModelProto, name: str) -> int | None:
    weights = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and name in node.input and node.input[1] in weights:
            group = next((a.i for a in node.attribute if a.name == "group"), 1)
            return int(numpy_helper.to_array(weights[node.input[1]]).shape[1]) * group
    return None


def random_picture(shape: tuple[int, ...], peak: float, seed: int = 0) -> Array:
    """Uniform noise, which exercises borders and clips; float32 in 0..peak, reproducible."""
    return (np.random.default_rng(seed).random(shape) * peak).astype(np.float32)
