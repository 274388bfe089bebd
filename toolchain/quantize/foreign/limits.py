"""Limits that a quantized network ends in, where its codes saturate at the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from toolchain.quantize.foreign.ends import MOVING
from toolchain.reference.graph import Array
from toolchain.reference.quantization import Quantization

_PASSED = (*MOVING, "DepthToSpace", "Relu", "Min", "Max", "Clip")


def name_saturation(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Array], last: str, given: Quantization
) -> list[onnx.TensorProto]:
    """Let limits be black and white exactly, where codes of ``given`` made of them are the first or the last.

    A number whose code is the last one does to the picture what saturation does, though it is somewhat less or more,
    as the codes of an earlier tensor are.

    Args:
        nodes: of the float network; changed in place.
        constants: numbers by name.
        last: the tensor that becomes the graph's codes.
        given: how these are read.

    Returns:
        The initializers that were put in place of others.
    """
    makers = {name: node for node in nodes for name in node.output}
    made: list[onnx.TensorProto] = []
    name = last
    while (node := makers.get(name)) is not None and node.op_type in _PASSED:
        for place, operand in enumerate(node.input):
            value = constants.get(operand)
            if value is None or value.size != 1 or node.op_type not in ("Min", "Max", "Clip"):
                continue
            with np.errstate(over="ignore"):  # a bound that is open is as large as numbers go
                code = given.code(float(value.reshape(())))
            if code in (0, given.qmax):
                end = given.high if code else given.low
                made.append(
                    numpy_helper.from_array(np.full(value.shape, end, np.float32), f"{operand}_end_{len(made)}")
                )
                node.input[place] = made[-1].name
        name = next((operand for operand in node.input if operand in makers), "")
    return made
