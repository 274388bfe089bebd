"""Scalings, offsets and batch normalization per channel are folded into a neighbouring convolution.

Before: biases present, pads explicit. After: no BatchNormalization; no Mul, Div, Add, Sub by a constant (one number, or
one per channel) behind a convolution, nor before one where that is exact: scalings always, offsets without padding,
since a padded zero is not offset; with it, what is 0 afterwards becomes the number that a Pad adds, if that is one for
all channels. The picture's own offsets, where they are not one, are a 1x1 convolution. Sums are formed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import BIASES, EXPLICIT_PADS, NO_BATCH_NORM
from toolchain.frontend.window import read_window

_CONVOLUTIONS = ("Conv", "ConvTranspose")


@graph_pass(
    requires=(
        EXPLICIT_PADS,
        BIASES,
    ),
    ensures=(NO_BATCH_NORM,),
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Fold; says what was done."""
    folded = norms = 0
    for _ in range(8 * len(graph.nodes) + 8):
        sizes = shapes(graph)
        step = next((s for s in (_step(graph, n, sizes) for n in graph.nodes) if s), "")
        if not step:
            break
        folded += step == "affine"
        norms += step == "norm"
        graph.tidy()
    done = [f"folded {norms} batch normalizations"] if norms else []
    done += [f"folded {folded} scalings and offsets into convolutions"] if folded else []
    return facts.said(", ".join(done))


def _step(graph: Graph, node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> str:
    """Fold or move one node; "affine", "norm", "moved", or "" if nothing could be done."""
    form = per_channel(graph, node, sizes)
    if form is None:
        return ""
    source, scale, offset = form
    kind = "norm" if node.op_type == "BatchNormalization" else "affine"
    producer = graph.sole_producer(source)
    if producer is not None and _into_producer(graph, producer, scale, offset):
        graph.bypass(node, source)
        return kind
    if producer is not None and _above(graph, node, producer, source, scale, offset):
        return "moved"
    if _into_consumers(graph, node, scale, offset):
        graph.bypass(node, source)
        return kind
    if _below(graph, node, source, scale, offset):
        return "moved"
    if kind == "norm" or _on_pixels(graph, node, source, sizes):
        _as_convolution(graph, node, source, scale, offset)
        return kind
    return ""


def per_channel(
    graph: Graph, node: onnx.NodeProto, sizes: Mapping[str, tuple[int, ...]]
) -> tuple[str, Array, Array] | None:
    """(input, scale, offset) of a node that computes scale * x + offset per channel; float64 arrays of C elements."""
    if node.op_type == "BatchNormalization":
        parameters = [graph.operand(node, i) for i in range(1, 5)]
        if any(p is None for p in parameters) or any(graph.consumers(o) for o in node.output[1:]):
            return None
        gamma, beta, mean, variance = (np.asarray(p, np.float64) for p in parameters)
        scale = gamma / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
        return node.input[0], scale, beta - mean * scale
    parts = graph.split(node) if node.op_type in ("Mul", "Div", "Add", "Sub") else None
    if parts is None:
        return None
    source, constant, first = parts
    shape = sizes.get(source)
    if shape is None or len(shape) != 4 or constant.ndim > 4 or sizes.get(node.output[0]) != shape:
        return None
    full = constant.reshape((1,) * (4 - constant.ndim) + constant.shape).astype(np.float64)
    if full.shape[2:] != (1, 1) or full.shape[0] != 1 or full.shape[1] not in (1, shape[1]):
        return None
    c = np.broadcast_to(full.reshape(-1), shape[1]).copy()
    one, zero = np.ones_like(c), np.zeros_like(c)
    match node.op_type:
        case "Mul":
            return source, c, zero
        case "Div":
            return None if first or not c.all() else (source, 1.0 / c, zero)
        case "Add":
            return source, one, c
        case _:
            return (source, -one, c) if first else (source, one, -c)


def _into_producer(graph: Graph, node: onnx.NodeProto, scale: Array, offset: Array) -> bool:
    weight, bias = graph.operand(node, 1), graph.operand(node, 2)
    if node.op_type not in _CONVOLUTIONS or weight is None or bias is None or weight.ndim != 4:
        return False
    w = weight.astype(np.float64)
    if node.op_type == "Conv":
        w = w * scale.reshape(-1, 1, 1, 1)
    else:
        group = attributes(node).get("group", 1)
        grouped = w.reshape(group, -1, *w.shape[1:]) * scale.reshape(group, 1, -1, 1, 1)
        w = grouped.reshape(w.shape)
    node.input[1] = graph.add_constant(w, node.input[1])
    node.input[2] = graph.add_constant(bias.astype(np.float64) * scale + offset, node.input[2])
    graph.touch()
    return True


def _into_consumers(graph: Graph, node: onnx.NodeProto, scale: Array, offset: Array) -> bool:
    """Fold forward into all the convolutions that use the node's result."""
    users = graph.consumers(node.output[0])
    if not users or node.output[0] == graph.output:
        return False
    for user in users:
        values = attributes(user)
        if user.op_type not in _CONVOLUTIONS or user.input[0] != node.output[0] or "pads" not in values:
            return False
        if graph.operand(user, 1) is None or graph.operand(user, 2) is None:
            return False
        if np.any(offset) and (user.op_type != "Conv" or (any(values["pads"]) and _zero(scale, offset) is None)):
            return False
    if np.any(offset):
        _pad_first(graph, node.output[0], users, _zero(scale, offset) or 0.0)
    for user in users:
        weight, bias = graph.constants[user.input[1]], graph.constants[user.input[2]]
        w = weight.astype(np.float64)
        group = attributes(user).get("group", 1)
        if user.op_type == "Conv":
            grouped = w.reshape(group, -1, *w.shape[1:])
            extra = (grouped.sum((3, 4)) * offset.reshape(group, 1, -1)).sum(2).reshape(-1)
            w = (grouped * scale.reshape(group, 1, -1, 1, 1)).reshape(w.shape)
            user.input[2] = graph.add_constant(bias.astype(np.float64) + extra, user.input[2])
        else:
            w = w * scale.reshape(-1, 1, 1, 1)
        user.input[1] = graph.add_constant(w, user.input[1])
    graph.touch()
    return True


def _uniform(scale: Array, offset: Array) -> bool:
    """One scaling, not by zero, and one offset for all channels."""
    return bool((scale == scale[0]).all() and (offset == offset[0]).all() and scale[0] != 0)


def _zero(scale: Array, offset: Array) -> float | None:
    """Return the number that becomes 0 in every channel; None where there is none: what a padded 0 was before."""
    if not scale.all():
        return None
    zeros = -offset / scale
    return float(zeros[0]) if np.allclose(zeros, zeros[0], rtol=1e-6, atol=1e-12) else None


def _pad_first(graph: Graph, value: str, users: list[onnx.NodeProto], number: float) -> None:
    """Convolutions that pad with zeros read what is padded with ``number`` before it is scaled to be zero."""
    padded: dict[tuple[int, ...], str] = {}
    for user in users:
        pads = tuple(attributes(user)["pads"])
        if not any(pads):
            continue
        if pads not in padded:
            padded[pads] = graph.fresh(f"{value}_padded")
            amounts = graph.add_constant([0, 0, *pads[:2], 0, 0, *pads[2:]], f"{padded[pads]}_by", np.int64)
            graph.add("Pad", [value, amounts, graph.add_constant(number, f"{padded[pads]}_value")], padded[pads])
        set_attribute(user, "pads", [0] * 4)
        user.input[0] = padded[pads]
    graph.touch()


def _below(graph: Graph, node: onnx.NodeProto, source: str, scale: Array, offset: Array) -> bool:
    """Move the node behind the Pad that alone reads it, if convolutions alone read that."""
    pad = graph.sole_consumer(node.output[0])
    window = read_window(pad, graph.constant) if pad is not None and pad.op_type == "Pad" else None
    if pad is None or window is None or not window.grows or pad.output[0] == graph.output:
        return False
    users = graph.consumers(pad.output[0])
    if not users or any(user.op_type not in _CONVOLUTIONS for user in users):
        return False
    if window.mode == "constant":
        number = _zero(scale, offset - window.value)
        if number is None:
            return False
        del pad.input[2:]
        pad.input.append(graph.add_constant(number, f"{pad.output[0]}_value"))
    position = list(node.input).index(source)
    target = graph.fresh(f"{pad.output[0]}_affine")
    graph.redirect(pad.output[0], target)
    pad.input[0] = source
    node.input[position] = pad.output[0]
    node.output[0] = target
    graph.tidy()
    return True


def _above(
    graph: Graph, node: onnx.NodeProto, producer: onnx.NodeProto, source: str, scale: Array, offset: Array
) -> bool:
    """Move the node before an operator with which it commutes, if a convolution stands further up, or if what it makes
    is shuffled last: then what is shuffled are the output's own values.
    """
    last = producer.op_type == "DepthToSpace" and node.output[0] == graph.output
    if not last and not _reaches_convolution(graph, producer):
        return False
    scaled_only = not np.any(offset) and bool((scale > 0).all())
    uniform = _uniform(scale, offset) and bool(scale[0] > 0)
    if producer.op_type == "DepthToSpace":
        values = attributes(producer)
        repeat = values["blocksize"] ** 2
        spread = np.repeat if values.get("mode", "DCR") == "CRD" else np.tile
        scale, offset = spread(scale, repeat), spread(offset, repeat)
    elif producer.op_type in ("Relu", "LeakyRelu", "PRelu") and scaled_only:
        pass
    elif producer.op_type in ("Clip", "Min", "Max") and uniform:
        for i, name in enumerate(producer.input):
            if name in graph.constants:
                scaled = graph.constants[name].astype(np.float64) * scale[0] + offset[0]
                producer.input[i] = graph.add_constant(scaled, name)
    else:
        return False
    position = next(i for i, name in enumerate(producer.input) if name not in graph.constants)
    graph.bypass(node, source)
    value = producer.input[position]
    if not np.all(scale == 1.0):
        name = graph.fresh(f"{value}_scaled")
        graph.add("Mul", [value, graph.add_constant(scale.reshape(1, -1, 1, 1), f"{name}_by")], name)
        value = name
    if np.any(offset):
        name = graph.fresh(f"{value}_offset")
        graph.add("Add", [value, graph.add_constant(offset.reshape(1, -1, 1, 1), f"{name}_by")], name)
        value = name
    producer.input[position] = value
    graph.tidy()
    return True


def _reaches_convolution(graph: Graph, node: onnx.NodeProto | None) -> bool:
    while node is not None and node.op_type in ("DepthToSpace", "Relu", "LeakyRelu", "PRelu", "Clip", "Min", "Max"):
        name = next((i for i in node.input if i not in graph.constants), "")
        node = graph.sole_producer(name)
    return node is not None and node.op_type in _CONVOLUTIONS


def _on_pixels(graph: Graph, node: onnx.NodeProto, source: str, sizes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the picture itself is scaled or offset, for nothing but convolutions: one more costs next to nothing
    there, and they round what they read in any case.
    """
    while source != graph.input:
        producer = graph.sole_producer(source)
        form = None if producer is None else per_channel(graph, producer, sizes)
        if form is None:
            return False
        source = form[0]
    users = graph.consumers(node.output[0])
    return bool(users) and all(user.op_type == "Conv" and user.input[0] == node.output[0] for user in users)


def _as_convolution(graph: Graph, node: onnx.NodeProto, source: str, scale: Array, offset: Array) -> None:
    """Make what has no convolution to be folded into a 1x1 convolution of each channel by itself."""
    target = node.output[0]
    weight = graph.add_constant(scale.reshape(-1, 1, 1, 1), f"{target}_weight")
    bias = graph.add_constant(offset, f"{target}_bias")
    graph.remove([node])
    conv = graph.add("Conv", [source, weight, bias], target)
    for name, value in (
        ("pads", [0] * 4),
        ("strides", [1, 1]),
        ("dilations", [1, 1]),
        ("kernel_shape", [1, 1]),
        ("group", int(scale.size)),
    ):
        set_attribute(conv, name, value)
