"""How many channels a tensor of a float network has, as far as its operators tell."""

from __future__ import annotations

from toolchain.quantize.pairs import POOLS
from toolchain.quantize.sites import CONVOLUTIONS
from toolchain.reference.channel_pool import channel_pool
from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.program import ACTIVATIONS


def channels_of(tensor: str, view: GraphView) -> int | None:
    """Return the number of channels, as far as convolutions and what keeps or adds channels tell; None where
    unknown.
    """
    node = view.producers.get(tensor)
    if node is None:
        if tensor != view.input:
            return None
        return int(view.model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)
    if node.op_type in CONVOLUTIONS and node.input[1] in view.constants:
        shape = view.constants[node.input[1]].shape
        return int(shape[0] if node.op_type == "Conv" else shape[1] * attributes(node).get("group", 1))
    if channel_pool(node, view):
        return 1
    if node.op_type in (*ACTIVATIONS, *POOLS, "AveragePool", "Resize", "Pad"):
        return channels_of(node.input[0], view)
    if node.op_type == "DepthToSpace":
        inner = channels_of(node.input[0], view)
        return None if inner is None else inner // int(attributes(node)["blocksize"]) ** 2
    parts = [channels_of(name, view) for name in node.input]
    known = [part for part in parts if part is not None]
    if node.op_type in ("Add", "Mul", "Min", "Max", "Concat") and len(known) == len(parts):
        return sum(known) if node.op_type == "Concat" else max(known)
    return None
