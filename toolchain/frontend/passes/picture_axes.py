"""A picture without an axis for the batch, (height, width, channels) or (channels, height, width), gets one.

What exporters make of functions on single pictures adds that axis behind the input and takes it off before the output.
After: ends of three axes have four, where that could be seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, attributes, known_constants, set_attribute
from toolchain.frontend.passes.base import model_pass

_ALIKE = ("Identity", "Cast", "Clip", "Round", "Floor", "Relu", "Add", "Sub", "Mul", "Div", "Min", "Max")
"""Operators that a picture of one axis more does not mind: constants are laid along the last ones."""


@model_pass()
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Rewrite in place; says which ends."""
    graph, constants = model.graph, known_constants(model)
    done = []
    for end, word, find in ((graph.input[:1], "input", _behind), (graph.output[:1], "output", _before)):
        if not end or len(end[0].type.tensor_type.shape.dim) != 3:
            continue
        found = find(graph, end[0].name, constants)
        if found is None:
            continue
        for node in found:
            _raise(node, constants)
        kept = list(end[0].type.tensor_type.shape.dim)
        del end[0].type.tensor_type.shape.dim[:]
        end[0].type.tensor_type.shape.dim.add().dim_value = 1
        end[0].type.tensor_type.shape.dim.extend(kept)
        done.append(word)
    if done:
        del graph.value_info[:]
    return facts.said(f"gave the {' and the '.join(done)} an axis for the batch" if done else "")


def _behind(graph: onnx.GraphProto, name: str, constants: Mapping[str, Array]) -> list[onnx.NodeProto] | None:
    """Return the nodes from the input ``name`` to those that add the axis; None where others read it."""
    known, found = {name}, []
    for node in graph.node:
        if not known.intersection(node.input):
            continue
        found.append(node)
        if not _adds_axis(node, constants):
            if not _minds_not(node, known, constants):
                return None
            known.update(node.output)
    return found or None


def _before(graph: onnx.GraphProto, name: str, constants: Mapping[str, Array]) -> list[onnx.NodeProto] | None:
    """Return the nodes from the one that takes the axis off to the output ``name``; None where others are there."""
    makers = {output: node for node in graph.node for output in node.output}
    found: list[onnx.NodeProto] = []
    while (node := makers.get(name)) is not None:
        if sum(name in reader.input for reader in graph.node) > bool(found):
            return None
        found.append(node)
        if _takes_axis(node, constants):
            return found
        computed = [given for given in node.input if given and given not in constants]
        if len(computed) != 1 or not _minds_not(node, {computed[0]}, constants):
            return None
        name = computed[0]
    return None


def _minds_not(node: onnx.NodeProto, known: set[str], constants: Mapping[str, Array]) -> bool:
    """Whether a node does the same to a picture with one axis more."""
    if node.op_type == "Transpose":
        return len(attributes(node).get("perm", ())) == 3
    if node.op_type == "Gather":
        return node.input[1] in constants and constants[node.input[1]].ndim == 1
    others = [name for name in node.input if name and name not in known]
    return node.op_type in _ALIKE and all(name in constants and constants[name].ndim <= 3 for name in others)


def _adds_axis(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    return node.op_type == "Unsqueeze" and _axes(node, constants) == [0]


def _takes_axis(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    if node.op_type == "Gather" and attributes(node).get("axis", 0) == 0:
        index = constants.get(node.input[1])
        return index is not None and index.ndim == 0 and int(index) in (0, -1)
    return node.op_type == "Squeeze" and _axes(node, constants) == [0]


def _axes(node: onnx.NodeProto, constants: Mapping[str, Array]) -> list[int]:
    given = attributes(node).get("axes")
    if given is None and len(node.input) > 1:
        given = constants.get(node.input[1])
    return [] if given is None else [int(axis) for axis in np.ravel(given)]


def _raise(node: onnx.NodeProto, constants: Mapping[str, Array]) -> None:
    """Let a node do to a picture of four axes what it did to one of three."""
    if node.op_type == "Transpose":
        set_attribute(node, "perm", [0, *(axis + 1 for axis in attributes(node)["perm"])])
    elif node.op_type == "Gather" and not _takes_axis(node, constants):
        axis = attributes(node).get("axis", 0)
        set_attribute(node, "axis", axis + 1 if axis >= 0 else axis)
    elif node.op_type in ("Unsqueeze", "Squeeze", "Gather"):
        del node.attribute[:], node.input[1:]
        node.op_type = "Identity"
