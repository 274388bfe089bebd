"""What passes require of a network, and what they ensure: each can be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from toolchain.frontend.float_types import NARROW, WIDE, uses
from toolchain.frontend.graph import OPSET, Graph, attributes
from toolchain.frontend.limits import PICTURE_RANGES, bounds, final_steps, together
from toolchain.frontend.passes.base import Property
from toolchain.frontend.probe import shapes
from toolchain.frontend.window import read_window

REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}
"""Where pixels lie and how they are rounded: by whole factors, these repeat each pixel."""

_FILLED = ("pads", "strides", "dilations", "kernel_shape", "group")
_CONVOLUTIONS = ("Conv", "ConvTranspose")


def is_channels_first(shape: tuple[int, ...], probe: tuple[int, ...]) -> bool:
    """Return whether an output's shape has the channels and a multiple of the size of an input of shape ``probe``."""
    return shape[1] == probe[1] and shape[2] % probe[2] == 0 and shape[3] % probe[3] == 0


def repeats(graph: Graph, node: onnx.NodeProto) -> int:
    """Return how often a Resize repeats each pixel, in both directions; 0 if a node is anything else."""
    found, factors = attributes(node), graph.operand(node, 2)
    sampling = (
        found.get("coordinate_transformation_mode", "half_pixel"),
        found.get("nearest_mode", "round_prefer_floor"),
    )
    if node.op_type != "Resize" or found.get("mode", "nearest") != "nearest" or sampling not in REPEATING:
        return 0
    if factors is None or factors.shape != (4,) or "axes" in found:
        return 0
    whole = factors[:2].tolist() == [1, 1] and factors[3] == factors[2] and not factors[2] % 1
    return int(factors[2]) if whole and factors[2] >= 2 else 0


# -- of ONNX models

NO_FUNCTIONS = Property[onnx.ModelProto](
    "there are no functions, no control flow and only operators of ONNX",
    lambda model: not model.functions and all(node.domain == "" for node in model.graph.node),
)
NO_SPARE_INPUTS = Property[onnx.ModelProto](
    "no initializer is among the inputs",
    lambda model: not {v.name for v in model.graph.input} & {t.name for t in model.graph.initializer},
)
NO_FLOAT64 = Property[onnx.ModelProto]("nothing is float64", lambda model: not uses(model, WIDE))
NO_FLOAT16 = Property[onnx.ModelProto]("nothing is float16 or bfloat16", lambda model: not uses(model, NARROW))
FLOAT_ENDS = Property[onnx.ModelProto](
    "no pixels of uint8 come in or go out",
    lambda model: (
        TensorProto.UINT8 not in [v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)]
    ),
)
BATCH_OF_ONE = Property[onnx.ModelProto](
    "the batch is free, or 1", lambda model: model.graph.input[0].type.tensor_type.shape.dim[0].dim_value in (0, 1)
)
OPSET_17 = Property[onnx.ModelProto]("operators are those of opset 17", lambda m: m.opset_import[0].version == OPSET)

# -- of graphs


def _each(*kinds: str) -> Callable[[Callable[[Graph, onnx.NodeProto], bool]], Callable[[Graph], bool]]:
    """Whether something is true of all nodes of some kinds."""
    return lambda true: lambda graph: all(true(graph, node) for node in graph.nodes if node.op_type in kinds)


def _has_channels_first(graph: Graph) -> bool:
    out = shapes(graph).get(graph.output)
    return len(graph.probe) == 4 and (out is None or (len(out) == 4 and out[1] == graph.probe[1]))


@_each(*_CONVOLUTIONS)
def _is_explicit(graph: Graph, node: onnx.NodeProto) -> bool:
    found, weight = attributes(node), graph.operand(node, 1)
    told = found.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in found
    return told or weight is None or weight.ndim != 4 or all(name in found for name in _FILLED)


@_each(*_CONVOLUTIONS, "PRelu")
def _has_bias(graph: Graph, node: onnx.NodeProto) -> bool:
    operand = graph.operand(node, 1)
    if node.op_type == "PRelu":
        return operand is None or operand.size > operand.shape[0] or operand.shape[1:] == (1, 1)
    return operand is None or (len(node.input) == 3 and bool(node.input[2]))


@_each("Resize")
def _has_factor(graph: Graph, node: onnx.NodeProto) -> bool:
    size = graph.operand(node, 3)
    shape = shapes(graph).get(node.input[0])
    if size is None or shape is None or size.shape != (4,) or shape[:2] != tuple(size[:2]):
        return True
    return any(int(out) % given for out, given in zip(size, shape, strict=True))


@_each("Split", "Slice")
def _moves_no_channels(graph: Graph, node: onnx.NodeProto) -> bool:
    shape, parts = shapes(graph).get(node.input[0]), [shapes(graph).get(name) for name in node.output]
    if shape is None or len(shape) != 4 or any(part is None for part in parts):
        return True
    return all(part is not None and part[1] == shape[1] for part in parts)


@_each("Pad")
def _only_grows(graph: Graph, node: onnx.NodeProto) -> bool:
    window = read_window(node, graph.constant)
    return window is None or window.grows


@_each("BatchNormalization")
def _is_computed(graph: Graph, node: onnx.NodeProto) -> bool:
    return any(graph.operand(node, i) is None for i in range(1, 5)) or any(graph.consumers(o) for o in node.output[1:])


def _ends_in_no_clip(graph: Graph) -> bool:
    low, high = together(final_steps(graph)[0])
    return not any(np.allclose((low, high), found, rtol=1e-4, atol=1e-6) for found in PICTURE_RANGES)


@_each("Min", "Max", "Clip")
def _is_canonical_limit(graph: Graph, node: onnx.NodeProto) -> bool:
    found = bounds(graph, node)
    return found is None or (node.op_type == "Clip" and len(node.input) == 3 and all(map(math.isfinite, found)))


def pools_whole(graph: Graph, node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> str:
    """Return the picture (1, C, h, w) of which a ReduceMean or ReduceMax, or two of one kind, reduce height and width;
    empty if a node is anything else.
    """
    if node.op_type not in ("ReduceMean", "ReduceMax"):
        return ""
    source = node.input[0]
    first = graph.sole_producer(source)
    if first is not None and first.op_type == node.op_type and len(sizes.get(first.input[0], ())) == 4:
        source = first.input[0]
    given, made = sizes.get(source), sizes.get(node.output[0])
    if given is None or made is None or len(given) != 4 or min(given[2:]) < 2 or math.prod(made) != given[1]:
        return ""
    return source if made[:2] == given[:2] else ""


def is_difference(graph: Graph, node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a node subtracts one computed tensor from another of its shape, or a single pixel from a picture."""
    if node.op_type != "Sub" or any(name in graph.constants for name in node.input):
        return False
    one, other = (sizes.get(name) for name in node.input)
    if one is None or other is None or not one:
        return False
    return one == other or (len(one) == len(other) == 4 and other == (*one[:2], 1, 1))


def _has_no_difference(graph: Graph) -> bool:
    sizes = shapes(graph) if any(node.op_type == "Sub" for node in graph.nodes) else {}
    return not any(is_difference(graph, node, sizes) for node in graph.nodes)


@_each("ConvTranspose")
def _is_no_shuffle(graph: Graph, node: onnx.NodeProto) -> bool:
    weight, found = graph.operand(node, 1), attributes(node)
    if weight is None or graph.operand(node, 2) is None or "pads" not in found or weight.ndim != 4:
        return True
    strides, pads, growth = found["strides"], found["pads"], found.get("output_padding", [0, 0])
    reach = [(weight.shape[2 + i] - 1) * found["dilations"][i] + 1 for i in (0, 1)]
    return bool(
        strides[0] != strides[1] or any(pads[i] + pads[2 + i] - growth[i] != reach[i] - strides[0] for i in (0, 1))
    )


@_each(*_CONVOLUTIONS)
def _steps_alike(graph: Graph, node: onnx.NodeProto) -> bool:
    found = attributes(node)
    return "pads" not in found or len(set(found.get("strides", [1]))) == 1


def _is_named(graph: Graph) -> bool:
    names = [node.name for node in graph.nodes]
    return (graph.input, graph.output) == ("input", "output") and all(names) and len(set(names)) == len(names)


NO_CONSTANT_NODES = Property[Graph](
    "constants are no operators", lambda graph: all(node.op_type != "Constant" for node in graph.nodes)
)
CHANNELS_FIRST = Property[Graph]("both ends are (1, channels, height, width)", _has_channels_first)
EXPLICIT_PADS = Property[Graph]("padding and strides of convolutions are numbers", _is_explicit)
BIASES = Property[Graph]("convolutions have biases, slopes the shape (C, 1, 1)", _has_bias)
RESIZE_BY_FACTORS = Property[Graph]("what grows by whole factors says so", _has_factor)
CHANNELS_GATHERED = Property[Graph]("channels are chosen by Gather alone", _moves_no_channels)
NO_NEGATIVE_PADS = Property[Graph]("no Pad cuts", _only_grows)
NO_BATCH_NORM = Property[Graph]("there is no batch normalization by constants", _is_computed)
NO_FINAL_CLIP = Property[Graph]("there is no clip to black and white at the end", _ends_in_no_clip)
CLIPS = Property[Graph]("limits are Clip with two numbers, or Relu", _is_canonical_limit)
WHOLE_POOLS = Property[Graph](
    "means over the whole picture are global pooling",
    lambda graph: (
        not any(
            pools_whole(graph, node, shapes(graph))
            for node in graph.nodes
            if node.op_type in ("ReduceMean", "ReduceMax")
        )
    ),
)
SUMS = Property[Graph](
    "no two computed tensors of one shape are subtracted, nor a single pixel from one", _has_no_difference
)
EQUAL_STRIDES = Property[Graph]("convolutions with explicit padding have equal strides", _steps_alike)
NO_TRANSPOSED = Property[Graph]("no transposed convolution is a convolution with a pixel shuffle", _is_no_shuffle)
NO_NEAREST = Property[Graph](
    "nothing is enlarged by repeating pixels", lambda graph: not any(repeats(graph, node) for node in graph.nodes)
)
NAMES = Property[Graph]("the ends are called input and output, every operator has a name", _is_named)
