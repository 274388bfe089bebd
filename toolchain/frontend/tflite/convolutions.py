"""Convolutions and pools: padding by name, weights with channels last."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from toolchain.frontend.tflite.activations import finish
from toolchain.frontend.tflite.contents import Operator
from toolchain.frontend.tflite.dilated import PADS
from toolchain.frontend.tflite.emitter import Emitter
from toolchain.support.errors import ModelError

_SAME = 0


def _padding(operator: Operator, kernel: tuple[int, int], strides: list[int], dilations: list[int]) -> dict[str, Any]:
    """Return ONNX's settings; with strides, how much SAME pads depends on the picture's size."""
    if PADS in operator.options:
        return {"pads": operator.options[PADS]}
    if operator.options["Padding"] != _SAME:
        return {"pads": [0, 0, 0, 0]}
    if strides != [1, 1]:
        return {"auto_pad": "SAME_UPPER"}
    total = [(size - 1) * apart for size, apart in zip(kernel, dilations, strict=True)]
    return {"pads": [t // 2 for t in total] + [t - t // 2 for t in total]}


def _numbers(operator: Operator, *names: str) -> list[int]:
    found = [int(operator.options.get(name, 1)) or 1 for name in names]
    if any(not 0 < number < 1 << 12 for number in found):
        raise ModelError(f"{operator} has a {names[0]} of {found[0]}", hint="the file is damaged")
    return found


def _convolve(emitter: Emitter, operator: Operator, place: int, weight: str, group: int, kernel: Any) -> None:
    """``place``: of the weights among the inputs, the picture before them."""
    strides = _numbers(operator, "StrideH", "StrideW")
    dilations = _numbers(operator, "DilationHFactor", "DilationWFactor")
    settings = _padding(operator, kernel, strides, dilations)
    inputs = [emitter.read(operator.read(0)), weight]
    if len(operator.inputs) > place + 1 and operator.inputs[place + 1] >= 0:
        inputs.append(emitter.bias(operator.inputs[place + 1]))
    name = emitter.tensor(operator.output).name
    conv = emitter.add(
        "Conv", inputs, name, strides=strides, dilations=dilations, group=group, kernel_shape=list(kernel), **settings
    )
    finish(emitter, operator, conv)


def _weights(emitter: Emitter, operator: Operator) -> tuple[int, ...]:
    shape = emitter.tensor(operator.read(1)).shape
    if len(shape) != 4 or min(shape) < 1:
        raise ModelError(f"{operator} has weights of shape {shape}", hint="the file is damaged")
    return shape


def _plain(emitter: Emitter, operator: Operator) -> None:
    shape = _weights(emitter, operator)
    channels = emitter.tensor(operator.read(0)).shape[-1:]
    if not channels or channels[0] < 1 or channels[0] % shape[3]:
        raise ModelError(f"{operator} has weights for {shape[3]} channels, its input has others", hint="is it whole?")
    weight = emitter.weight(operator.read(1), (0, 3, 1, 2))
    _convolve(emitter, operator, 1, weight, channels[0] // shape[3], shape[1:3])


def _depthwise(emitter: Emitter, operator: Operator) -> None:
    shape = _weights(emitter, operator)
    several = _numbers(operator, "DepthMultiplier")[0]
    if shape[0] != 1 or shape[3] % several:
        raise ModelError(f"{operator} has weights of shape {shape}", hint="the file is damaged")
    weight = emitter.weight(operator.read(1), (3, 0, 1, 2))
    _convolve(emitter, operator, 1, weight, shape[3] // several, shape[1:3])


def _transposed(emitter: Emitter, operator: Operator) -> None:
    shape = _weights(emitter, operator)
    strides = _numbers(operator, "StrideH", "StrideW")
    same = operator.options["Padding"] == _SAME
    less = _cropped(emitter, operator, strides, same=same)
    over = [max(size - stride + cut, 0) for size, stride, cut in zip(shape[1:3], strides, less, strict=True)]
    short = [max(stride - size - cut, 0) for size, stride, cut in zip(shape[1:3], strides, less, strict=True)]
    pads = [o // 2 for o in over] + [o - o // 2 for o in over] if same else [0, 0, 0, 0]
    inputs = [emitter.read(operator.read(2)), emitter.weight(operator.read(1), (3, 0, 1, 2))]
    if len(operator.inputs) > 3 and operator.inputs[3] >= 0:
        inputs.append(emitter.bias(operator.inputs[3]))
    name = emitter.tensor(operator.output).name
    conv = emitter.add(
        "ConvTranspose",
        inputs,
        name,
        strides=strides,
        kernel_shape=list(shape[1:3]),
        pads=pads,
        output_padding=short,
    )
    finish(emitter, operator, conv)


def _cropped(emitter: Emitter, operator: Operator, strides: list[int], *, same: bool) -> list[int]:
    """Return by how many rows and columns the output of a transposed convolution is smaller than its strides make it.

    A size of which one that is padded alike makes the input says so, up to a stride less.
    """
    source, told = emitter.tensor(operator.read(2)).shape, emitter.numbers(operator.read(0))
    if told is None or len(source) != 4:
        return [0, 0]
    kernel = emitter.tensor(operator.read(1)).shape[1:3]
    beyond = [0 if same else max(size - stride, 0) for size, stride in zip(kernel, strides, strict=True)]
    if told.size != 4:
        raise ModelError(f"{operator} has an output of {told.size} axes", hint="the file is damaged")
    if min(source[1:3]) < 1:
        return [0, 0]
    wanted = [size * stride + more for size, stride, more in zip(source[1:3], strides, beyond, strict=True)]
    less = [large - int(size) for large, size in zip(wanted, told.ravel()[1:3], strict=True)]
    if any(cut and not (same and 0 < cut < stride) for cut, stride in zip(less, strides, strict=True)):
        raise ModelError(f"{operator} crops or extends its output", hint="give it the size of its input by stride")
    return less


def _connected(emitter: Emitter, operator: Operator) -> None:
    """Write what is fully connected over the channels of a picture as a 1x1 convolution."""
    shape = emitter.tensor(operator.read(1)).shape
    picture = emitter.tensor(operator.read(0)).rank == 4 and emitter.tensor(operator.output).rank == 4
    if len(shape) != 2 or not picture or operator.options["WeightsFormat"]:
        raise ModelError(f"{operator} is no convolution", hint="networks from pictures to pictures can be deployed")
    weight = emitter.weight(operator.read(1), (0, 1, 2, 3), (*shape, 1, 1))
    inputs = [emitter.read(operator.read(0)), weight]
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        inputs.append(emitter.bias(operator.inputs[2]))
    finish(emitter, operator, emitter.add("Conv", inputs, emitter.tensor(operator.output).name, kernel_shape=[1, 1]))


def _pool(emitter: Emitter, operator: Operator) -> None:
    kernel = tuple(_numbers(operator, "FilterHeight", "FilterWidth"))
    strides = _numbers(operator, "StrideH", "StrideW")
    settings = _padding(operator, (kernel[0], kernel[1]), strides, [1, 1])
    kind = "MaxPool" if operator.kind == "MAX_POOL_2D" else "AveragePool"
    source = emitter.read(operator.read(0))
    name = emitter.tensor(operator.output).name
    finish(emitter, operator, emitter.add(kind, [source], name, kernel_shape=kernel, strides=strides, **settings))


def _mean(emitter: Emitter, operator: Operator) -> None:
    tensor = emitter.tensor(operator.read(0))
    axes = sorted({axis % max(tensor.rank, 1) for axis in emitter.integers(operator, 1)})
    kind = {"MEAN": "ReduceMean", "SUM": "ReduceSum", "REDUCE_MAX": "ReduceMax"}[operator.kind]
    keep = bool(operator.options["KeepDims"])
    pictures = tensor.rank == 4 and keep
    source = emitter.read(operator.read(0)) if pictures else emitter.last(operator.read(0))
    places = [(0, 2, 3, 1)[axis] for axis in axes] if pictures else axes
    if kind == "ReduceSum":
        named = emitter.array(np.array(places, np.int64), "axes")
        found = emitter.add(kind, [source, named], keepdims=int(keep))
    else:
        found = emitter.add(kind, [source], keepdims=int(keep), axes=places)
    (emitter.write if pictures else emitter.write_last)(operator.output, found)


OPERATORS: Final = {
    "CONV_2D": _plain,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "SUM": _mean,
    "REDUCE_MAX": _mean,
}
