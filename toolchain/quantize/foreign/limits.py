"""Limits that a quantized network ends in, where its pixels saturate at the same place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from toolchain.frontend.value_range import RANGES
from toolchain.quantize.foreign.ends import MOVING
from toolchain.quantize.qdq import pixel_quantization
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.quantization import Quantization

_LIMITS = ("Min", "Max", "Clip")


def name_white(plain: onnx.ModelProto, said: str | None) -> None:
    """Let the limits that a float network ends in be black and white exactly where pixels saturate there; in place.

    ``said``: what its numbers mean, as `find_ends` has it; nothing is done where that is not known, or goes below 0.
    """
    bounds = RANGES.get((said or "").split(":")[-1], (-1.0, 1.0))
    if bounds[0] < 0 or plain.graph.output[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        return
    view = GraphView(plain)
    made = name_saturation(plain.graph.node, view.constants, view.output, pixel_quantization(bounds))
    plain.graph.initializer.extend(made)


def name_saturation(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Array], last: str, given: Quantization
) -> list[onnx.TensorProto]:
    """Let limits be black and white exactly, where codes of ``given`` made of them are the first or the last.

    A number whose code is the last one does to the picture what saturation does, though it is somewhat less or more,
    as the codes of an earlier tensor are.

    Args:
        nodes: of the float network; changed in place.
        constants: numbers by name.
        last: the tensor that becomes pixels.
        given: how these are read.

    Returns:
        The initializers that were put in place of others.
    """
    made: list[onnx.TensorProto] = []
    for node in _ending(nodes, last):
        for place, code in _codes(node, constants, given).items():
            end = given.high if code else given.low
            shape = constants[node.input[place]].shape
            node.input[place] = f"{node.input[place]}_end_{len(made)}"
            made.append(numpy_helper.from_array(np.full(shape, end, np.float32), node.input[place]))
    return made


def drop_saturation(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Array], last: str, given: Quantization
) -> None:
    """Take limits off that do only what saturation to codes of ``given`` does, as `name_saturation` knows them."""
    for node in _ending(nodes, last):
        bounds = [name for name in node.input if name in constants]
        limits = node.op_type in _LIMITS and len(_codes(node, constants, given)) == len(bounds) == len(node.input) - 1
        if limits or (node.op_type == "Relu" and given.zero_point == 0):
            source = next(name for name in node.input if name not in constants)
            node.op_type = "Identity"
            del node.input[:]
            node.input.append(source)


def _ending(nodes: Sequence[onnx.NodeProto], last: str) -> Iterator[onnx.NodeProto]:
    """Yield the limits and moves that a network ends in, from the end on."""
    makers = {name: node for node in nodes for name in node.output}
    name = last
    while (node := makers.get(name)) is not None and node.op_type in (*MOVING, *_LIMITS, "DepthToSpace", "Relu"):
        name = next((operand for operand in node.input if operand in makers), "")
        yield node


def _codes(node: onnx.NodeProto, constants: Mapping[str, Array], given: Quantization) -> dict[int, int]:
    """Return by its place, the code of each bound of a limit that is the first or the last."""
    found = {}
    for place, operand in enumerate(node.input if node.op_type in _LIMITS else ()):
        value = constants.get(operand)
        if value is None or value.size != 1:
            continue
        with np.errstate(over="ignore"):  # a bound that is open is as large as numbers go
            code = given.code(float(value.reshape(())))
        if code in (0, given.qmax):
            found[place] = code
    return found
