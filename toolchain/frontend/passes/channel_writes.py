"""Whole channels that are written, repeated or padded by index become concatenations.

Before: pads explicit, channels first. After: a ScatterND of channels (what exporters make of ``x[:, :n] = y``) is a
Concat of what is written and what stays; Tile and Expand along the channels alone take channels several times by a
Gather; a Pad that cuts channels is a Gather too, one that adds some a convolution of one tap.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import operands, shapes
from toolchain.frontend.properties import CHANNELS_FIRST, EXPLICIT_PADS

_KINDS = ("ScatterND", "Tile", "Expand", "Pad")
Shapes = Mapping[str, tuple[int, ...]]


@graph_pass(requires=(CHANNELS_FIRST, EXPLICIT_PADS))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    nodes = [node for node in graph.nodes if node.op_type in _KINDS]
    if not nodes:
        return facts
    sizes = shapes(graph)
    given = operands(graph, [node.input[1] for node in nodes])
    done = 0
    for node in nodes:
        told = given[node.input[1]]
        if node.op_type == "ScatterND":
            done += _scatter(graph, node, told, sizes)
        elif node.op_type == "Pad":
            done += _pad(graph, node, sizes)
        else:
            done += _repeat(graph, node, sizes)
    graph.tidy()
    return facts.said(f"recognized {done} writes and repetitions of channels" if done else "")


def _scatter(graph: Graph, node: onnx.NodeProto, places: Array, sizes: Shapes) -> bool:
    """Transpose(ScatterND(Transpose(x), places, Transpose(y))), channels in front, is a Concat of parts of x and y."""
    before, written = graph.producer(node.input[0]), graph.producer(node.input[2])
    after = graph.sole_consumer(node.output[0])
    turns = [list(attributes(n).get("perm", [])) if n is not None else [] for n in (before, written, after)]
    if attributes(node).get("reduction", "none") != "none" or before is None or written is None or after is None:
        return False
    if any(n.op_type != "Transpose" for n in (before, written, after)) or turns[0] != turns[1] or turns[0][0] != 1:
        return False
    old, new = sizes.get(before.input[0]), sizes.get(written.input[0])
    if [turns[2][axis] for axis in turns[0]] != [0, 1, 2, 3] and [turns[0][axis] for axis in turns[2]] != [0, 1, 2, 3]:
        return False
    channels = places.ravel() % old[1] if old is not None and places.ndim == 2 and places.shape[1] == 1 else None
    if old is None or new is None or channels is None or channels.size != new[1] or old[2:] != new[2:]:
        return False
    source = np.arange(old[1])
    source[channels] = old[1] + np.arange(channels.size)  # the later of two writes of one channel stays
    both = graph.fresh(f"{after.output[0]}_both")
    target = after.output[0]
    graph.remove([node, after])
    parts = np.split(source, np.flatnonzero(np.diff(source) != 1) + 1)
    names = []
    for part in parts:
        of_new = part[0] >= old[1]
        tensor, indices = (written.input[0], part - old[1]) if of_new else (before.input[0], part)
        whole = indices.size == (new if of_new else old)[1]
        names.append(tensor if whole else _taken(graph, tensor, indices, both))
    graph.add("Concat", names, target, axis=1)
    return True


def _repeat(graph: Graph, node: onnx.NodeProto, sizes: Shapes) -> bool:
    """Tile or Expand that only makes more channels takes them several times."""
    shape, out = sizes.get(node.input[0]), sizes.get(node.output[0])
    if shape is None or out is None or len(shape) != 4 or len(out) != 4 or shape[0] != out[0] or shape[2:] != out[2:]:
        return False
    if shape[1] == out[1] or shape[2] == 1 or shape[3] == 1:
        return False
    target = node.output[0]
    graph.remove([node])
    if node.op_type == "Tile":  # the spelling of an anchor
        graph.add("Concat", [node.input[0]] * (out[1] // shape[1]), target, axis=1)
    else:
        indices = graph.add_constant(np.arange(out[1]) % shape[1], f"{target}_channels", np.int64)
        graph.add("Gather", [node.input[0], indices], target, axis=1)
    return True


def _pad(graph: Graph, node: onnx.NodeProto, sizes: Shapes) -> bool:
    """Return whether a Pad that cuts channels, or adds some of one number, became a choice of them or a convolution
    that copies; what it does with rows and columns stays a Pad.
    """
    shape, pads, value = sizes.get(node.input[0]), graph.operand(node, 1), graph.operand(node, 2)
    if shape is None or len(shape) != 4 or pads is None or pads.size != 8 or len(node.input) > 3:
        return False
    low, high, target = int(pads[1]), int(pads[5]), node.output[0]
    kept = np.arange(max(-low, 0), shape[1] - max(-high, 0))
    grows, plain = max(low, high) > 0, attributes(node).get("mode", "constant") == "constant"
    others = pads.copy()
    others[[1, 5]] = 0
    filled = value is not None and value.any()
    if not (low or high) or not kept.size or (grows and (not plain or (filled and others.any()))):
        return False
    source = node.input[0]
    if others.any():
        source = node.output[0] = graph.fresh(f"{target}_framed")
        node.input[1] = graph.add_constant(others, f"{source}_pads", np.int64)
    else:
        graph.remove([node])
    if not grows:
        graph.add("Gather", [source, graph.add_constant(kept, f"{target}_channels", np.int64)], target, axis=1)
        return True
    weight = np.zeros((shape[1] + low + high, shape[1], 1, 1), np.float32)
    weight[kept + low, kept] = 1
    bias = np.full(len(weight), 0.0 if value is None else value.item())
    bias[kept + low] = 0
    names = [graph.add_constant(weight, f"{target}_weight"), graph.add_constant(bias, f"{target}_bias")]
    graph.add("Conv", [source, *names], target, group=1, **ONE_TAP)
    return True


def _taken(graph: Graph, tensor: str, indices: Array, stem: str) -> str:
    name = graph.fresh(f"{stem}_part")
    graph.add("Gather", [tensor, graph.add_constant(indices, f"{name}_channels", np.int64)], name, axis=1)
    return name
