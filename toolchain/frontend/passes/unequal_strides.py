"""Strides that differ in rows and columns become equal ones, and a choice of the pixels that are wanted.

A convolution, or pooling by the largest, that steps by 2 and 1 steps by 1 and 1, of which every second row is kept; a
transposed one by 2 and 3 spreads its kernel and steps by 6 and 6, of which every third row and every second column are.
Kernels have one stride for both directions; the pixels in between are computed for nothing.

Before: pads explicit. After: Conv, ConvTranspose and MaxPool have equal strides, but for a MaxPool whose windows would
lie beyond the picture. Resize by nearest neighbours keeps one pixel of several.
"""

from __future__ import annotations

from math import gcd, lcm

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import EQUAL_STRIDES, EXPLICIT_PADS


@graph_pass(requires=(EXPLICIT_PADS,), ensures=(EQUAL_STRIDES,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    done = 0
    for node in list(graph.nodes):
        found = attributes(node)
        if "pads" not in found or len(found["pads"]) != 4 or len(set(found.get("strides", [1]))) < 2:
            continue
        if node.op_type not in ("Conv", "ConvTranspose", "MaxPool"):
            continue
        keep = _spread(node) if node.op_type == "ConvTranspose" else _slowed(node)
        if keep is None:
            continue
        target = node.output[0]
        node.output[0] = graph.fresh(f"{target}_dense")
        scales = graph.add_constant([1, 1, 1 / keep[0], 1 / keep[1]], f"{target}_kept")
        words = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        graph.add("Resize", [node.output[0], "", scales], target, **words)
        done += 1
    graph.tidy()
    return facts.said(f"gave {done} layers equal strides, of whose pixels some are kept" if done else "")


def _slowed(node: onnx.NodeProto) -> tuple[int, int] | None:
    """Let a layer step by what both strides are multiples of; returns of how many rows and columns one is kept."""
    found = attributes(node)
    strides, pads = found["strides"], list(found["pads"])
    step = gcd(*strides)
    keep = strides[0] // step, strides[1] // step
    for axis in (0, 1):  # as many as make the last that is kept the first of as many
        pads[2 + axis] += (keep[axis] - 1) * step
        if node.op_type == "MaxPool" and (pads[2 + axis] >= found["kernel_shape"][axis] or found.get("ceil_mode", 0)):
            return None
    set_attribute(node, "strides", [step, step])
    set_attribute(node, "pads", pads)
    return keep


def _spread(node: onnx.NodeProto) -> tuple[int, int]:
    """Let a transposed convolution step by a multiple of both strides, its kernel and padding spread as much; returns
    of how many rows and columns one is kept.
    """
    found = attributes(node)
    strides, growth = found["strides"], found.get("output_padding", [0, 0])
    step = lcm(*strides)
    keep = step // strides[0], step // strides[1]
    set_attribute(node, "strides", [step, step])
    set_attribute(node, "dilations", [apart * by for apart, by in zip(found["dilations"], keep, strict=True)])
    set_attribute(node, "pads", [pad * by for pad, by in zip(found["pads"], keep * 2, strict=True)])
    set_attribute(node, "output_padding", [by * (more + 1) - 1 for more, by in zip(growth, keep, strict=True)])
    return keep
