"""What a file rounds before the picture is rounded to pixels."""

from __future__ import annotations

from dataclasses import replace

import onnx
from onnx import helper

from toolchain.frontend import SRModel
from toolchain.quantize.foreign.findings import Findings
from toolchain.quantize.qdq import pixel_quantization
from toolchain.reference.graph import GraphView

_MOVES = ("Identity", "DepthToSpace")


def round_last(sr: SRModel, found: Findings) -> SRModel:
    """Let the tensor that the picture is made of be rounded as in the file, and to pixels after that.

    A Relu between the two does nothing that pixels do not do: they saturate at zero as well.
    """
    view = GraphView(sr.model)
    name, reader = view.output, None
    while (maker := view.producers.get(name)) is not None and maker.op_type in _MOVES:
        name, reader = maker.input[0], maker
    given = found.ranges.get(name)
    if reader is None or given is None or given == pixel_quantization(sr.value_range):
        return sr
    rounded = view.unused(f"{name}_rounded")
    model = onnx.ModelProto()
    model.CopyFrom(sr.model)
    place = next(place for place, node in enumerate(model.graph.node) if list(node.output) == list(reader.output))
    model.graph.node[place].input[0] = rounded
    model.graph.node.insert(place, helper.make_node("Relu", [name], [rounded], name=rounded))
    return replace(sr, model=model)
