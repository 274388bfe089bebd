"""Operators that compute on codes by themselves (QLinearConv, QLinearAdd, ...), spelled out between quantizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend.graph import known_constants
from toolchain.quantize.foreign.findings import HINT
from toolchain.reference.graph import Array, GraphView
from toolchain.support.errors import ModelError

_REFUSED = {
    "DynamicQuantizeLinear": "measures its range again for every picture",
    "ConvInteger": "leaves its sums to be scaled by ranges of each picture",
    "MatMulInteger": "leaves its sums to be scaled by ranges of each picture",
    "DynamicQuantizeMatMul": "measures its range again for every picture",
    "QLinearMatMul": "multiplies matrices, which super-resolution networks of convolutions do not",
    "QGemm": "multiplies matrices, which super-resolution networks of convolutions do not",
}


def spell_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` with operators on codes as DequantizeLinear, the float operator and QuantizeLinear.

    Raises:
        ModelError: one of them has no such form, or lacks a part.
    """
    kinds = {node.op_type for node in model.graph.node}
    if not any(kind.startswith("QLinear") or kind in _REFUSED for kind in kinds):
        return model
    return _Writer(model).run()


class _Writer:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.view = model, GraphView(model)
        self.constants: Mapping[str, Array] = known_constants(model)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names: list[str] = []

    def run(self) -> onnx.ModelProto:
        for node in self.model.graph.node:
            if node.op_type in _REFUSED:
                raise ModelError(
                    f"operator {node.op_type} '{node.name or node.output[0]}' {_REFUSED[node.op_type]}", hint=HINT
                )
            if not node.op_type.startswith("QLinear"):
                self.nodes.append(node)
                continue
            write = _KINDS.get(node.op_type)
            if write is None:
                raise ModelError(f"the model computes with '{node.op_type}', which is not known here", hint=HINT)
            try:
                write(self, node)
            except (IndexError, ValueError) as error:
                raise ModelError(f"'{node.op_type}' of the model lacks an input", hint="is it whole?") from error
        written = onnx.ModelProto()
        written.CopyFrom(self.model)
        del written.graph.node[:]
        written.graph.node.extend(self.nodes)
        written.graph.initializer.extend(self.initializers)
        return written

    def name(self, wanted: str) -> str:
        self.names.append(self.view.unused(wanted, *self.names))
        return self.names[-1]

    def real(self, codes: str, scale: str, zero: str, axis: int = 1) -> str:
        """Return the name of the numbers that ``codes`` stand for."""
        name = self.name(f"{codes}_real")
        inputs = [codes, scale, zero] if zero else [codes, scale]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], name=name, axis=axis))
        return name

    def codes(self, node: onnx.NodeProto, kind: str, inputs: list[str], scale: str, zero: str, *drop: str) -> None:
        """Write the float operator ``kind`` with the settings of ``node``, and the codes of its result."""
        name = self.name(f"{node.output[0]}_real")
        made = helper.make_node(kind, inputs, [name], name=name)
        made.attribute.extend(item for item in node.attribute if item.name not in drop)
        self.nodes.append(made)
        given = [name, scale, zero] if zero else [name, scale]
        self.nodes.append(helper.make_node("QuantizeLinear", given, list(node.output), name=f"{name}_codes"))

    def bias(self, node: onnx.NodeProto) -> list[str]:
        """Return the name of a QLinearConv's bias in float, whose scale is that of its sums."""
        if len(node.input) < 9 or not node.input[8]:
            return []
        wanted = (node.input[1], node.input[4])
        if not all(name in self.constants for name in (*wanted, node.input[8])):
            raise ModelError(f"the bias of '{node.name or node.output[0]}' is computed at run time", hint=HINT)
        scale = np.multiply(*(self.constants[name].astype(np.float64) for name in wanted)).astype(np.float32)
        named = self.name(f"{node.input[8]}_scale")
        self.initializers.append(numpy_helper.from_array(np.asarray(scale), named))
        return [self.real(node.input[8], named, "", axis=0)]


def _conv(writer: _Writer, node: onnx.NodeProto) -> None:
    x, x_scale, x_zero, w, w_scale, w_zero, scale, zero = list(node.input)[:8]
    source, weight = writer.real(x, x_scale, x_zero), writer.real(w, w_scale, w_zero, axis=0)
    writer.codes(node, "Conv", [source, weight, *writer.bias(node)], scale, zero)


def _two(kind: str) -> Callable[[_Writer, onnx.NodeProto], None]:
    def write(writer: _Writer, node: onnx.NodeProto) -> None:
        given = list(node.input)
        inputs = [writer.real(*given[place : place + 3]) for place in (0, 3)]
        writer.codes(node, kind, inputs, given[6], given[7] if len(given) > 7 else "")

    return write


def _one(kind: str, *drop: str) -> Callable[[_Writer, onnx.NodeProto], None]:
    def write(writer: _Writer, node: onnx.NodeProto) -> None:
        if any(item.name == "channels_last" and item.i for item in node.attribute):
            raise ModelError(f"'{node.op_type}' has its channels last", hint="export it with channels first")
        given = list(node.input)
        writer.codes(
            node, kind, [writer.real(*given[:3])], given[3], given[4] if len(given) > 4 else "", "channels_last", *drop
        )

    return write


def _join(writer: _Writer, node: onnx.NodeProto) -> None:
    given = list(node.input)
    parts = [writer.real(*given[place : place + 3]) for place in range(2, len(given), 3)]
    writer.codes(node, "Concat", parts, given[0], given[1])


_KINDS: Final[Mapping[str, Callable[[_Writer, onnx.NodeProto], None]]] = {
    "QLinearConv": _conv,
    "QLinearAdd": _two("Add"),
    "QLinearMul": _two("Mul"),
    "QLinearConcat": _join,
    "QLinearSigmoid": _one("Sigmoid"),
    "QLinearLeakyRelu": _one("LeakyRelu"),
    "QLinearGlobalAveragePool": _one("GlobalAveragePool"),
    "QLinearAveragePool": _one("AveragePool"),
    "QLinearReduceMean": _one("ReduceMean"),
}
