"""What the ends of a model look like: one picture in, one picture out, in which layout."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from toolchain.frontend.graph import Array
from toolchain.frontend.inputs import spare_inputs
from toolchain.frontend.whole_picture import OF_PICTURES
from toolchain.support.errors import ModelError

PROBE_SIZE = (23, 18)
"""Height and width used where a model leaves them free: small, different, not a multiple of usual strides."""

MAX_PIXELS = 1 << 21
"""Largest fixed picture: models are executed on a picture of their own size, or, if that is larger, of a small one."""

_HINT = "a super-resolution network takes one picture (1, 1 or 3, height, width) and gives one"
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


@dataclass(frozen=True)
class Interface:
    """The input of a model as it is declared.

    Attributes:
        channels: 1 or 3.
        channels_last: NHWC.
        shape: a concrete shape that the model accepts, in its own layout, batch 1.
        declared: height and width as the model declares them, 0 where they are free.
        batch: what the model fixes it to; 1 if it is free.
        integer_input: pixels come in as uint8.
        integer_output: pixels go out as uint8.
        unit: ``shape`` is of so many pixels times primes, as the model divides pictures; 1: it takes any.
    """

    channels: int
    channels_last: bool
    shape: tuple[int, ...]
    declared: tuple[int, int] = (0, 0)
    batch: int = 1
    integer_input: bool = False
    integer_output: bool = False
    unit: int = 1

    @property
    def fixed(self) -> bool:
        """Whether height and width are fixed by the model."""
        return 0 not in self.declared

    @property
    def freed(self) -> bool:
        """Whether the fixed size is too large to be tried: `free_size` is to be called, and ``shape`` is small."""
        return self.declared[0] * self.declared[1] > MAX_PIXELS


def read_interface(model: onnx.ModelProto) -> Interface:
    """Check a model's ends.

    Raises:
        ModelError: not one picture in and one out, float or uint8; wrong rank or number of channels.
    """
    inputs, outputs = model.graph.input, model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        spare = " ".join(f"--input {name}=NUMBER" for name in spare_inputs(model)) if len(outputs) == 1 else ""
        hint = f"say what those are that are no picture: {spare}" if spare else _HINT
        raise ModelError(f"the model has {len(inputs)} inputs and {len(outputs)} outputs", hint=hint)
    if not any(outputs[0].name in node.output for node in model.graph.node):
        raise ModelError(f"the model's output '{outputs[0].name}' is made by no operator", hint="is it the right file?")
    for value, end in ((inputs[0], "input"), (outputs[0], "output")):
        kind = value.type.tensor_type.elem_type
        if kind not in (*_FLOATS, TensorProto.UINT8):
            name = TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else "untyped"
            raise ModelError(
                f"the model's {end} '{value.name}' is {name}, neither float nor uint8",
                hint="export the network without its casts from and to pixels",
            )
    tensor = inputs[0].type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim]
    if not tensor.HasField("shape") or len(dims) != 4:
        rank = len(dims) if tensor.HasField("shape") else "unknown"
        raise ModelError(f"the model's input '{inputs[0].name}' has rank {rank}, not 4", hint=_HINT)
    integer = [value.type.tensor_type.elem_type == TensorProto.UINT8 for value in (inputs[0], outputs[0])]
    return replace(_layout(model, inputs[0].name, dims), integer_input=integer[0], integer_output=integer[1])


def free_size(model: onnx.ModelProto) -> None:
    """Let the height and width of a model's ends be anything, in place."""
    for value in (*model.graph.input, *model.graph.output):
        for index, dim in enumerate(value.type.tensor_type.shape.dim):
            if index and dim.dim_value > 3:
                dim.dim_param = f"{value.name}_{index}"


def _layout(model: onnx.ModelProto, name: str, dims: list[int | None]) -> Interface:
    last = dims[3] in (1, 3) and dims[1] not in (1, 3)
    channels = dims[3] if last else dims[1]
    if channels is None:
        channels = _channels_of_first_convolution(model, name)
    if channels not in (1, 3):
        raise ModelError(
            f"the model's input '{name}' has {channels or 'an unknown number of'} channels",
            hint=OF_PICTURES,
        )
    free = dims[1:3] if last else dims[2:4]
    declared = (free[0] or 0, free[1] or 0)
    height, width = (d or p for d, p in zip(declared, PROBE_SIZE, strict=True))
    if height * width > MAX_PIXELS:
        height, width = PROBE_SIZE
    shape = (1, height, width, channels) if last else (1, channels, height, width)
    return Interface(channels, last, shape, declared, dims[0] or 1)


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
