"""Weights without a sign whose codes lie farther than 127 from their zero point: kernels know int8 without one.

Such a tensor of codes 0..255 with zero point z is int8 after taking 127 - z from each code. What that takes from a
convolution is the sum of all that a window reads, times one number: the same for all outputs of a group that share a
scale. It is a convolution with an output for each of those, kept at 16 bits and added before the activation, so
that the file's codes stay what they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend import SRModel
from toolchain.quantize.foreign.findings import Findings
from toolchain.quantize.sites import find_site
from toolchain.reference.graph import Array, GraphView, attributes
from toolchain.reference.pairs import LIMIT

_CLOSE = 1e-4
_WORTH = 2
"""Outputs, at least, for each of the sums that are added to them."""


def shift_weights(sr: SRModel, found: Findings) -> tuple[SRModel, frozenset[str]]:
    """Return the network with weights that fit, where they do not as they are, and the tensors that this made or is
    the sum of.
    """
    model = onnx.ModelProto.FromString(sr.model.SerializeToString())
    view = GraphView(model)
    nodes: list[onnx.NodeProto] = []
    touched: set[str] = set()
    for node in model.graph.node:
        weight = view.constants[node.input[1]] if node.op_type == "Conv" and find_site(node, view) else None
        shifts = None if weight is None else _shifts(weight, attributes(node).get("group", 1), found)
        if weight is None or shifts is None:
            nodes.append(node)
            continue
        made, constants = _split(node, weight, *shifts, found)
        nodes += made
        model.graph.initializer.extend(constants)
        touched.update(name for one in made for name in one.output)
    if not touched:
        return sr, frozenset()
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return replace(sr, model=model), frozenset(touched)


def _shifts(weight: Array, groups: int, found: Findings) -> tuple[Array, Array, Array] | None:
    """Return the scale of each output, what is to be taken from its weights, and the number of the sum that makes up
    for it; None where all fit, or too many differ.
    """
    known = found.scales_of(weight)
    if not (known > 0).all():
        return None
    codes = np.rint(weight.reshape(len(weight), -1).astype(np.float64) / known[:, None])
    if np.abs(codes).max() <= LIMIT + 1:  # -128 becomes -127, which is one step of one weight
        return None
    by, place = np.zeros(len(weight)), np.full(len(weight), -1)
    alike: list[tuple[int, float]] = []
    for output, scale in enumerate(known):
        if place[output] >= 0:
            continue
        same = np.isclose(known, scale, rtol=_CLOSE)
        low, high = codes[same].min(), codes[same].max()
        if high - low > 2 * LIMIT + 1:
            return None
        by[same] = np.ceil((low + high) / 2) * scale if max(-low, high) > LIMIT + 1 else 0.0
        for group in np.unique(np.flatnonzero(same) * groups // len(weight)):
            place[same & (np.arange(len(weight)) * groups // len(weight) == group)] = len(alike)
            alike.append((int(group), scale))
    order = np.argsort([group for group, _ in alike], kind="stable")  # sums lie as their groups do
    per_group = np.bincount([group for group, _ in alike])
    if len(alike) * _WORTH > len(weight) or len(set(per_group.tolist())) > 1:
        return None
    return known, by, np.argsort(order)[place]


def _split(
    node: onnx.NodeProto, weight: Array, scales: Array, by: Array, place: Array, found: Findings
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the convolution with weights that are less ``by``, the sums of what it reads, and both added; and their
    constants.
    """
    target, sums = node.output[0], int(place.max()) + 1
    centred = (weight.astype(np.float64) - by.reshape(-1, 1, 1, 1)).astype(np.float32)
    of_sum = np.array([by[place == index][0] for index in range(sums)])
    ones = np.broadcast_to(of_sum.reshape(-1, 1, 1, 1), (sums, *weight.shape[1:])).astype(np.float32)
    found.note_weight(centred, scales.reshape(-1, 1, 1, 1).astype(np.float64))
    found.note_weight(ones, np.where(of_sum, np.abs(of_sum), 1.0).reshape(-1, 1, 1, 1) / LIMIT)
    conv, total = onnx.NodeProto(), onnx.NodeProto()
    constants = []
    for made, name, value in ((conv, f"{target}_centred", centred), (total, f"{target}_shift", ones)):
        made.CopyFrom(node)
        made.name = made.output[0] = name
        made.input[1] = f"{name}_weight"
        constants.append(numpy_helper.from_array(value, made.input[1]))
    total.input[2] = f"{target}_shift_bias"
    constants.append(numpy_helper.from_array(np.zeros(sums, np.float32), total.input[2]))
    nodes, shift = [conv, total], total.output[0]
    if sums > 1:
        constants.append(numpy_helper.from_array(place.astype(np.int64), f"{target}_shift_places"))
        spread = f"{target}_shift_of_each"
        nodes.append(helper.make_node("Gather", [shift, constants[-1].name], [spread], name=spread, axis=1))
        shift = spread
    nodes.append(helper.make_node("Add", [conv.output[0], shift], [target], name=node.name))
    return nodes, constants
