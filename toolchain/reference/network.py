"""Size and work of a network, read off its ONNX graph: float and normalized, or canonical QDQ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from toolchain.reference.tensor import QuantizedTensor

# Shapes are inferred at this size (input pixels per side) and divided by it; a power of two divides exactly.
_SIDE = 64
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_FINE = "_fine"
"""What the name of the channels of 16 bits ends in, where the others of a tensor have 8."""
_STORED = 4
"""Channels that are stored together."""


@dataclass(frozen=True)
class Layer:
    """One convolution.

    Attributes:
        name: of its output.
        operator: "Conv" or "ConvTranspose".
        weight: shape of its weight.
        groups: of channels.
        macs_per_pixel: multiply-accumulates per input pixel of the network.
        bits: of the codes it reads; None if they are floats.
        coarse: the part of its channels whose codes have 8 bits, where ``bits`` is 16.
    """

    name: str
    operator: str
    weight: tuple[int, ...]
    groups: int
    macs_per_pixel: float
    bits: int | None = None
    coarse: float = 0.0


@dataclass(frozen=True)
class NetworkFigures:
    """Figures of a whole network.

    Attributes:
        layers: its convolutions in order.
        parameters: weights and biases of the convolutions.
        operators: how often each operator stands in the graph, sorted by name.
        peak_values_per_pixel: activation values alive at once, per input pixel, when each is freed after its last use;
            one of 16 bits counts twice.
        tensors: the quantized activations; empty for a float network.
    """

    layers: tuple[Layer, ...]
    parameters: int
    operators: tuple[tuple[str, int], ...]
    peak_values_per_pixel: float
    tensors: tuple[QuantizedTensor, ...]

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates per input pixel."""
        return sum(layer.macs_per_pixel for layer in self.layers)

    @property
    def doubled_per_pixel(self) -> float:
        """Those of them that take two, because they read codes of 16 bits."""
        return sum(layer.macs_per_pixel * (1 - layer.coarse) for layer in self.layers if layer.bits == 16)

    @property
    def wide(self) -> tuple[str, ...]:
        """The tensors of 16 bits, by the names they have in the float network."""
        return tuple(tensor.name.removesuffix("_quantized") for tensor in self.tensors if tensor.bits == 16)

    def describe_wide(self) -> str:
        """Return the tensors of 16 bits and what they cost, for people; empty without any."""
        if not self.wide:
            return ""
        share = self.doubled_per_pixel / self.macs_per_pixel if self.macs_per_pixel else 0.0
        channels = {tensor.name.removesuffix("_quantized"): tensor.channels for tensor in self.tensors}
        parts = {name + _FINE for name in self.wide} & channels.keys()
        names = [
            f"{name} ({channels[name + _FINE]} of {channels[name]} channels)" if name + _FINE in parts else name
            for name in self.wide
            if name not in parts
        ]
        return f"16 bits: {', '.join(names)}; {share:.1%} more multiply-accumulates"


def describe_network(model: onnx.ModelProto) -> NetworkFigures:
    """Return figures of a network with one 4-D image input; shapes that cannot be inferred count as nothing."""
    graph = _at_fixed_size(model).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = _shapes(graph)
    makers = {name: node for node in graph.node for name in node.output}

    def constant_shape(name: str) -> tuple[int, ...]:
        while (
            name not in constants and name in makers and makers[name].op_type in ("QuantizeLinear", "DequantizeLinear")
        ):
            name = makers[name].input[0]
        return tuple(constants[name].dims) if name in constants else ()

    layers, parameters = [], 0
    for node in graph.node:
        if node.op_type not in _CONVOLUTIONS:
            continue
        weight = constant_shape(node.input[1])
        parameters += sum(int(np.prod(constant_shape(name))) for name in node.input[1:] if name)
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        # Conv: each output value takes Cin/g * k * k products; ConvTranspose: each input value makes Cout/g * k * k.
        positions = shapes.get(node.output[0] if node.op_type == "Conv" else node.input[0], ())
        macs = float(np.prod(positions)) * float(np.prod(weight[1:])) / _SIDE**2 if positions and weight else 0.0
        given = makers.get(node.input[0])
        bits = _bits(constants, given) if given is not None and given.op_type == "DequantizeLinear" else None
        coarse = _coarse_share(graph, makers, constants, shapes, node.input[0]) if bits == 16 else 0.0
        layers.append(Layer(node.output[0], node.op_type, weight, groups, macs, bits, coarse))
    counts: dict[str, int] = {}
    for node in graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    tensors = tuple(
        QuantizedTensor(
            node.output[0],
            _channels(shapes, node.output[0]),
            _scalar(constants, node.input[1]),
            int(_scalar(constants, node.input[2])),
            _bits(constants, node),
        )
        for node in graph.node
        if _quantizes_activation(node, constants)
    )
    return NetworkFigures(
        tuple(layers), parameters, tuple(sorted(counts.items())), _peak(graph, shapes, constants), tensors
    )


def _at_fixed_size(model: onnx.ModelProto) -> onnx.ModelProto:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    inputs = {tensor.name for tensor in fixed.graph.initializer}
    for value in fixed.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in inputs and len(dims) == 4:
            for dim in (dims[2], dims[3]):
                dim.Clear()
                dim.dim_value = _SIDE
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    try:
        return shape_inference.infer_shapes(fixed, data_prop=True)
    except shape_inference.InferenceError:
        return fixed


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if dims and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _channels(shapes: dict[str, tuple[int, ...]], name: str) -> int:
    shape = shapes.get(name, ())
    return shape[1] if len(shape) == 4 else 0


def _scalar(constants: dict[str, onnx.TensorProto], name: str) -> float:
    return float(numpy_helper.to_array(constants[name]).reshape(-1)[0]) if name in constants else 0.0


def _bits(constants: dict[str, onnx.TensorProto], node: onnx.NodeProto) -> int:
    """Return the bits of the codes that a QuantizeLinear makes or a DequantizeLinear reads."""
    zero = constants.get(node.input[2]) if len(node.input) > 2 else None
    return 16 if zero is not None and zero.data_type == onnx.TensorProto.UINT16 else 8


def _coarse_share(
    graph: onnx.GraphProto,
    makers: dict[str, onnx.NodeProto],
    constants: dict[str, onnx.TensorProto],
    shapes: dict[str, tuple[int, ...]],
    tensor: str,
) -> float:
    """Return the part of the channels of a tensor of 16 bits that has 8, where only convolutions read it: they are
    joined to others with 256 times the step, in whole words.
    """
    codes = makers[tensor].input[0]
    joined = makers.get(makers[codes].input[0]) if codes in makers else None
    readers = [node for node in graph.node if tensor in node.input]
    if joined is None or joined.op_type != "Concat" or any(node.op_type != "Conv" for node in readers):
        return 0.0
    step = _scalar(constants, makers[tensor].input[1])
    parts = [makers.get(name) for name in joined.input]
    coarse = [
        part.op_type == "DequantizeLinear"
        and _bits(constants, part) == 8
        and _scalar(constants, part.input[1]) == 256 * step
        for part in parts
        if part is not None
    ]
    widths = [_channels(shapes, name) for name in joined.input]
    if any(width % _STORED for width in widths[:-1]):
        return 0.0
    return sum(width for width, eight in zip(widths, coarse, strict=False) if eight) / max(sum(widths), 1)


def _quantizes_activation(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    return node.op_type == "QuantizeLinear" and node.input[0] not in constants and len(node.input) > 2


def _peak(graph: onnx.GraphProto, shapes: dict[str, tuple[int, ...]], constants: dict[str, onnx.TensorProto]) -> float:
    """Values alive at once per input pixel: of codes where the graph is quantized, else of every tensor."""
    quantized = any(_quantizes_activation(node, constants) for node in graph.node)
    # A value that is not stored (inside a kernel, or only dequantized) stands for the stored ones it was made from.
    stored: dict[str, frozenset[str]] = {}
    born: dict[str, int] = {}
    last: dict[str, int] = {}
    for value in graph.input:
        stored[value.name] = frozenset([value.name])
        born[value.name] = last[value.name] = 0
    for step, node in enumerate(graph.node):
        sources: frozenset[str] = frozenset().union(*(stored.get(name, frozenset()) for name in node.input))
        for name in sources:
            last[name] = step
        keeps = _quantizes_activation(node, constants) or node.op_type == "DepthToSpace" if quantized else True
        for name in node.output:
            stored[name] = frozenset([name]) if keeps else sources
            if keeps:
                born[name] = last[name] = step
    for value in graph.output:
        for name in stored.get(value.name, ()):
            last[name] = len(graph.node)
    change = np.zeros(len(graph.node) + 2)
    wide = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear" and _bits(constants, node) == 16}
    for name, step in born.items():
        size = float(np.prod(shapes.get(name, (0,)))) / _SIDE**2 * (1 + (name in wide))
        change[step] += size
        change[last[name] + 1] -= size
    return float(np.max(np.cumsum(change)))
