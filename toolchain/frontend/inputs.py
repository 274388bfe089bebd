"""Inputs beside the picture: each gets the one value with which the network is deployed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.support.errors import InputError, ModelError

_FREE = 0


def spare_inputs(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the inputs that are no picture and have no value yet, by name, with their shapes; 0 where a side is free.

    The picture is the first input of four axes with 1 or 3 channels; if there is none, the first of all.
    """
    given = {tensor.name for tensor in model.graph.initializer}
    shapes = {value.name: _shape(value) for value in model.graph.input if value.name not in given}
    pictures = [name for name, shape in shapes.items() if len(shape) == 4 and _is_picture(shape)]
    picture = next(iter(sorted(pictures, key=lambda name: 3 not in shapes[name])), next(iter(shapes), ""))
    return {name: shape for name, shape in shapes.items() if name != picture}


def set_inputs(model: onnx.ModelProto, values: Mapping[str, float]) -> onnx.ModelProto:
    """Return the model with inputs that are constants: one number each, as often as its shape asks for.

    One that is as large as the picture (a map of noise levels) is a plane of that number.

    Raises:
        InputError: there is no such input.
        ModelError: it is no tensor of numbers, or has free sides that are not the picture's.
    """
    if not values:
        return model
    result = onnx.ModelProto.FromString(model.SerializeToString())
    spare = spare_inputs(result)
    given = {*spare, *(tensor.name for tensor in result.graph.initializer)}
    picture = next(value for value in result.graph.input if value.name not in given)
    for name, number in values.items():
        if name not in spare:
            known = f"there are: {', '.join(spare)}" if spare else "the picture is its only input"
            raise InputError(f"the model has no input '{name}' beside its picture", hint=known)
        place, value = next((i, v) for i, v in enumerate(result.graph.input) if v.name == name)
        shape = spare[name][:1] and (spare[name][0] or 1, *spare[name][1:])
        if _FREE not in shape:
            result.graph.initializer.append(_constant(value, shape, number))
        elif len(shape) == 4 and shape[1] and _plain(picture):
            _add_plane(result, picture, name, shape[1], number)
        else:
            raise ModelError(
                f"the model's input '{name}' has free sides, which do not lie along the picture",
                hint="export it with fixed sides, or without this input",
            )
        del result.graph.input[place]
    return result


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else _FREE for dim in dims)


def _is_picture(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape has 1 or 3 channels and more than one pixel."""
    return shape[2:] != (1, 1) if shape[1] in (1, 3) else shape[3] in (1, 3)


def _plain(picture: onnx.ValueInfoProto) -> bool:
    """Whether the picture is made of floats, channels first."""
    shape = _shape(picture)
    return picture.type.tensor_type.elem_type == TensorProto.FLOAT and len(shape) == 4 and shape[1] in (1, 3)


def _constant(value: onnx.ValueInfoProto, shape: tuple[int, ...], number: float) -> onnx.TensorProto:
    try:
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        if dtype.kind not in "fiub":
            raise TypeError(dtype)
        return numpy_helper.from_array(np.full(shape, number).astype(dtype), value.name)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the model's input '{value.name}' is no tensor of numbers", hint="export it without"
        ) from error


def _add_plane(model: onnx.ModelProto, picture: onnx.ValueInfoProto, name: str, channels: int, number: float) -> None:
    """Add a convolution of the picture that sees nothing of it: as large as the picture, whatever its size."""
    weight, bias = f"{name}_nothing", f"{name}_value"
    depth = _shape(picture)[1]
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((channels, depth, 1, 1), np.float32), weight))
    model.graph.initializer.append(numpy_helper.from_array(np.full(channels, number, np.float32), bias))
    node = helper.make_node("Conv", [picture.name, weight, bias], [name], name=f"plane_{name}")
    nodes = [node, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
