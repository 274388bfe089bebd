"""The convolutions of a float network that become integer kernels."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from toolchain.reference.graph import GraphView, attributes

CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class ConvSite:
    """A convolution that becomes an integer kernel: the names of its float tensors."""

    node: str
    source: str
    weight: str
    bias: str
    axis: int
    output: str


def find_site(node: onnx.NodeProto, view: GraphView) -> ConvSite | None:
    """Return the convolution that ``node`` is, if an integer kernel computes it."""
    if node.op_type not in CONVOLUTIONS or len(node.input) < 2:
        return None
    weight = view.constants.get(node.input[1])
    settings = attributes(node)
    if (
        weight is None
        or weight.ndim != 4
        or settings.get("auto_pad", "NOTSET") != "NOTSET"
        or "output_shape" in settings
    ):
        return None
    bias = node.input[2] if len(node.input) > 2 else ""
    if bias and not view.is_constant(bias):
        return None
    return ConvSite(node.name, node.input[0], node.input[1], bias, int(node.op_type != "Conv"), node.output[0])
