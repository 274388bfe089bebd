"""The smallest or largest of every pixel's numbers: how a QDQ graph spells it, and its arithmetic.

Codes are in the order of what they stand for, so the extreme of codes is that of numbers: ``float32(q - z) * m`` of it,
with ``m = float32(s_x / s_y)``, is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import onnx

from toolchain.reference.arithmetic import finish, multiplier, scaled
from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.quantization import CodeArray
from toolchain.reference.steps import Activation, ChannelPoolStep, Codes


def read_channel_pool(
    node: onnx.NodeProto, view: GraphView, codes: Mapping[str, Codes], out: Codes, after: Activation | None
) -> ChannelPoolStep | None:
    """Return the step that ``node`` and the activation after it are."""
    source, kind = codes.get(node.input[0]) if node.input else None, channel_pool(node, view)
    if source is None or kind is None or (after is not None and after.slopes is not None):
        return None
    return ChannelPoolStep(out, source, kind, after)


def channel_pool(node: onnx.NodeProto, view: GraphView) -> Literal["min", "max"] | None:
    """Return which of a pixel's numbers a node keeps; None if it is anything else."""
    if node.op_type not in ("ReduceMin", "ReduceMax") or not attributes(node).get("keepdims", 1):
        return None
    given = view.constants.get(node.input[1]) if len(node.input) > 1 else None
    axes = attributes(node).get("axes", []) if given is None else given.ravel()
    if [int(axis) for axis in axes] not in ([1], [-3]):
        return None
    return "min" if node.op_type == "ReduceMin" else "max"


def run_channel_pool(step: ChannelPoolStep, values: Mapping[str, CodeArray]) -> CodeArray:
    """Return the codes (1, h, w) of ``step``, of ``values`` by name."""
    codes = values[step.source.tensor]
    return finished(step, codes.min(axis=0, keepdims=True) if step.kind == "min" else codes.max(axis=0, keepdims=True))


def finished(step: ChannelPoolStep, extremes: CodeArray) -> CodeArray:
    """Return codes of the source as codes of the result of ``step``."""
    given, out = step.source.quantization, step.out.quantization
    return finish(scaled(extremes, given.zero_point, multiplier(given.scale, 1.0, out.scale)), step.after, out)
