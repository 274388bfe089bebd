"""Products and extremes of two tensors, tensors of a single pixel, and normalization over channels, in a float network
that is to be quantized.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx

from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.normalization import normalization_before

POOLS = ("GlobalAveragePool", "GlobalMaxPool")
_PAIRS = ("Mul", "Min", "Max")
_ENLARGES = ("Resize", "Expand", "Pad", "Tile", "DepthToSpace", "ConvTranspose")
LEVEL = ("Sigmoid", "HardSigmoid", "Tanh")
"""Functions whose results change no more than what they read."""
FEW_INPUTS = 192
"""Products of a sum that fit into 32 bits together, of codes of 16 bits, with room for a bias."""


def is_pair(node: onnx.NodeProto, view: GraphView, codes: Collection[str]) -> bool:
    """Return whether ``node`` is a product, or the smaller or larger, of two tensors that kernels compute.

    One of them must be in ``codes`` anyway: what float operators alone make is better off without another rounding.
    """
    if node.op_type not in _PAIRS or len(node.input) != 2 or any(view.is_constant(name) for name in node.input):
        return False
    return any(name in codes for name in node.input)


def interpolates(node: onnx.NodeProto) -> bool:
    """Return whether what comes out may be a mean of several values."""
    return node.op_type == "Resize" and bool(attributes(node).get("mode", "nearest") == "linear")


def single_tensors(view: GraphView) -> frozenset[str]:
    """Return the tensors of a single pixel, whatever the picture: what pools the whole picture, and what is made of
    nothing else.
    """
    found: set[str] = set()
    for node in view.model.graph.node:
        computed = [name for name in node.input if name and not view.is_constant(name)]
        inherits = bool(computed) and node.op_type not in _ENLARGES and found.issuperset(computed)
        if node.op_type in POOLS or (inherits and _keeps(node, view)):
            found.update(node.output)
    return frozenset(found)


def whole_deviations(view: GraphView) -> frozenset[str]:
    """Return the tensors of which the whole picture's variance is made: squares of which a mean is taken, what is
    squared, and what that is the difference of from a mean, where nothing else reads it. 8 bits of a square are 4 of a
    number, and a mean of many codes is finer than they are.
    """
    found: set[str] = set()
    for node in view.model.graph.node:
        if node.op_type != "Mul" or node.input[0] != node.input[1] or not _pooled(node.output[0], view):
            continue
        found.update((node.output[0], node.input[0]))
        far = view.producers.get(node.input[0])
        for name in far.input if far is not None and far.op_type == "Add" else ():
            readers = [reader for reader in view.consumers.get(name, ()) if reader is not far]
            if readers and all(reader.op_type in POOLS for reader in readers):
                found.add(name)
    return frozenset(found)


def _pooled(tensor: str, view: GraphView) -> bool:
    reader = view.sole_reader(tensor)
    return reader is not None and reader.op_type == "GlobalAveragePool"


def takes_wide(node: onnx.NodeProto, view: GraphView) -> bool:
    """Return whether a kernel that reads a tensor of a single pixel may read it at 16 bits: sums still fit into 32."""
    if node.op_type != "Conv":
        return node.op_type in ("Mul", "Add", "Concat")
    weight = view.constants.get(node.input[1])
    return weight is not None and weight[0].size <= FEW_INPUTS


def normalized_within(node: onnx.NodeProto, view: GraphView, rounded: Collection[str]) -> list[str]:
    """Return the tensors within the normalization over channels that ends in ``node``, where all of it can be one
    kernel, as none of them is read elsewhere or ``rounded``; else none.
    """
    within = [inner.output[0] for inner in normalization_before(node, view) or ()]
    return [] if any(view.sole_reader(name) is None or name in rounded for name in within) else within


def _keeps(node: onnx.NodeProto, view: GraphView) -> bool:
    """Whether a single pixel comes out where one goes in."""
    if node.op_type != "Conv":
        return True
    weight, settings = view.constants.get(node.input[1]), attributes(node)
    if weight is None or weight.ndim != 4:
        return False
    pads, dilations = settings.get("pads", [0] * 4), settings.get("dilations", [1, 1])
    return all(pads[i] + pads[2 + i] == dilations[i] * (weight.shape[2 + i] - 1) for i in (0, 1))
