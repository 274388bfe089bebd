"""The quantized model in the spelling that other runtimes load with their default options; the codes are the same."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.reference.graph import GraphView, attributes


def for_runtimes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a canonical QDQ ``model``: a Gather stands between a Concat and a DepthToSpace, and between a
    Concat and arithmetic with a constant.

    OpenVINO 2026.4 gives a Concat zero points per channel and moves them through a DepthToSpace as they are, though it
    leaves fewer channels: the model does not load. Where it moves them through arithmetic with a constant it crashes.
    Behind a Gather there is one zero point. Where a Concat only repeats a tensor, the Gather takes its place; else it
    takes every channel once. Without zero points nothing is changed.

    Args:
        model: as `write_qdq` writes it; not changed.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    view, channels = GraphView(model), _channels(model)
    nodes = {node.output[0]: node for node in copy.graph.node}
    writer = _Writer(view)
    for node in list(copy.graph.node):
        place = _place(node, view)
        found = None if place is None else _joined(nodes, node.input[place])
        if place is None or found is None:
            continue
        reading, concat = found
        zero, count = view.constants[reading.input[2]], channels.get(concat.input[0], 0)
        if not zero.any() or not count or not channels.get(concat.output[0]):
            continue
        if len(set(concat.input)) == 1:
            indices = writer.constant(f"{concat.output[0]}_channels", np.tile(np.arange(count), len(concat.input)))
            gather = helper.make_node("Gather", [concat.input[0], indices], concat.output, name=concat.name, axis=1)
            concat.CopyFrom(gather)
        else:
            node.input[place] = writer.kept(reading, channels[concat.output[0]])
    order = [part for node in copy.graph.node for part in (*writer.added.pop(next(iter(node.input), ""), ()), node)]
    graph = helper.make_graph(order, copy.graph.name, [], [])
    del copy.graph.node[:]
    copy.graph.node.extend(graph.node)
    copy.graph.initializer.extend(writer.initializers)
    return copy


class _Writer:
    def __init__(self, view: GraphView) -> None:
        self.view = view
        self.names: list[str] = []
        self.initializers: list[onnx.TensorProto] = []
        self.added: dict[str, list[onnx.NodeProto]] = {}  # by the name of the tensor that the last of them makes

    def name(self, wanted: str) -> str:
        self.names.append(self.view.unused(wanted, *self.names))
        return self.names[-1]

    def constant(self, name: str, indices: np.ndarray) -> str:
        name = self.name(name)
        self.initializers.append(numpy_helper.from_array(indices.astype(np.int64), name))
        return name

    def kept(self, reading: onnx.NodeProto, count: int) -> str:
        """Return a tensor with all channels of what ``reading`` dequantizes, quantized in the same way."""
        source = f"{reading.output[0]}_gather"
        indices = self.constant(f"{reading.output[0]}_channels", np.arange(count))
        taken, codes, target = (self.name(f"{source}{part}") for part in ("", "_quantized", "_dequantized"))
        self.added[target] = [
            helper.make_node("Gather", [reading.output[0], indices], [taken], name=taken, axis=1),
            helper.make_node("QuantizeLinear", [taken, *reading.input[1:]], [codes], name=codes),
            helper.make_node("DequantizeLinear", [codes, *reading.input[1:]], [target], name=target),
        ]
        return target


def _place(node: onnx.NodeProto, view: GraphView) -> int | None:
    """Return which input of ``node`` it is through which OpenVINO moves zero points; None where there is none."""
    if node.op_type == "DepthToSpace":
        return 0
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    moved = [place for place, name in enumerate(node.input) if not view.is_constant(name)]
    return moved[0] if len(moved) == 1 else None


def _joined(nodes: dict[str, onnx.NodeProto], tensor: str) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """Return the DequantizeLinear that makes ``tensor`` and the Concat over channels behind it; None where it is not
    so.
    """
    reading = nodes.get(tensor)
    if reading is None or reading.op_type != "DequantizeLinear":
        return None
    writing = nodes.get(reading.input[0])
    concat = nodes.get(writing.input[0]) if writing is not None else None
    if concat is None or concat.op_type != "Concat" or attributes(concat)["axis"] not in (1, -3):
        return None
    return reading, concat


def _channels(model: onnx.ModelProto) -> dict[str, int]:
    """Return the number of channels of each tensor of four axes; 0 where it is not known."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {item.name: item.type.tensor_type.shape.dim for item in [*graph.input, *graph.value_info, *graph.output]}
    return {name: dims[1].dim_value for name, dims in shapes.items() if len(dims) == 4}
