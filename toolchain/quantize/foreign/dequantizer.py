"""Taking the quantizers off a graph, node by node, noting what they say."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.graph import known_constants
from toolchain.frontend.stored import dequantized, parameters, requantized, spread
from toolchain.quantize.foreign.ends import MOVING, IntegerEnds
from toolchain.quantize.foreign.findings import WIDE, Findings, per_tensor
from toolchain.quantize.foreign.limits import drop_saturation, name_saturation
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.quantization import Quantization


class Dequantizer:
    """Takes the quantizers off a graph.

    Args:
        model: as loaded, operators on codes spelled out; not changed.

    Attributes:
        found: what they say.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.view, self.found = model, GraphView(model), Findings()
        self._ends = IntegerEnds(model)
        self._constants = known_constants(model)
        self._stands: dict[str, str] = {}  # by the output of a quantizer that was taken off, the tensor in its place
        self._nodes: list[onnx.NodeProto] = []
        self._last: tuple[str, Quantization] | None = None  # what becomes the graph's codes, and how they are read
        self._weights: list[onnx.TensorProto] = []

    def run(self) -> onnx.ModelProto:
        """Return the float network that is left.

        Raises:
            ModelError: as `canonicalize`.
        """
        for node in self.model.graph.node:
            if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
                self._keep(node)
            elif node.input[0] in self._constants:
                self._constant(node, *parameters(node, self._constants))
            else:
                self._activation(node, *parameters(node, self._constants))
        if self._last is not None and self._last[1].zero_point == 0 and self._last[1].scale == 1:
            self._weights.extend(name_saturation(self._nodes, self._constants, *self._last))
        elif self._last is not None:
            drop_saturation(self._nodes, self._constants, *self._last)
        for node in self._nodes:
            if node.op_type == "Concat" and node.output[0] in self.found.ranges:
                self.found.joined.update(dict.fromkeys(node.input, self.found.ranges[node.output[0]]))
        return self._rebuilt()

    def _keep(self, node: onnx.NodeProto) -> None:
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        for index, name in enumerate(kept.input):
            kept.input[index] = self._stands.get(name, name)
        self._nodes.append(kept)

    def _activation(self, node: onnx.NodeProto, scale: Array, zero: Array) -> None:
        """Take a quantizer of an activation off; that of a QuantizeLinear is noted."""
        tensor = self._stands.get(node.input[0], node.input[0])
        given = per_tensor(tensor, scale, zero)
        first = self._is_input(tensor)
        if node.op_type == "QuantizeLinear":
            self.found.even &= zero.dtype in (np.int8, np.int16) and not zero.any()
            if first:
                self.found.inputs.append(given)
            else:
                tensor = self._positive(tensor) if given.zero_point == 0 else tensor
                self.found.ranges[tensor] = given
            ends = self._ends.integer[1] and self._is_output(node.output[0])
            if ends and self._ends.kept:
                self._last = (tensor, given)
                self._nodes.extend(self._ends.codes(tensor, node.output[0], given))
                return
        elif first and tensor == node.input[0]:  # codes that the graph is given
            if self._ends.kept and self._ends.integer[0]:
                self._nodes.extend(self._ends.numbers(tensor, node.output[0], given))
                return
            self.found.inputs.append(given)
        self._stands[node.output[0]] = tensor

    def _is_input(self, tensor: str) -> bool:
        """Whether a tensor is the graph's input, or that in another layout."""
        while (maker := self.view.producers.get(tensor)) is not None and maker.op_type in MOVING:
            tensor = maker.input[0]
        return tensor == self.view.input

    def _is_output(self, tensor: str) -> bool:
        while (reader := self.view.sole_reader(tensor)) is not None and reader.op_type in MOVING:
            tensor = reader.output[0]
        return tensor == self.view.output

    def _positive(self, tensor: str) -> str:
        """Return the tensor behind a Relu that is put back: other tools drop it where the range already starts at zero,
        and the range may be moved.
        """
        maker = self.view.producers.get(tensor)
        if maker is None or maker.op_type not in ("Conv", "ConvTranspose", "Add") or self._never_negative(maker):
            return tensor
        name = f"{tensor}_positive"
        if name not in self.found.ranges:
            self._nodes.append(helper.make_node("Relu", [tensor], [name], name=f"{name}_relu"))
        return name

    def _never_negative(self, node: onnx.NodeProto) -> bool:
        """Whether a convolution can give nothing negative, as one that copies pixels: a Relu would only hide copies."""
        constants = [self._constants.get(name) for name in node.input[1:] if name]
        source = self._stands.get(node.input[0], node.input[0])
        known = self.found.inputs[0] if self._is_input(source) and self.found.inputs else self.found.ranges.get(source)
        if node.op_type == "Add" or known is None or known.low < 0:
            return False
        return all(value is not None and bool((value >= 0).all()) for value in constants)

    def _constant(self, node: onnx.NodeProto, scale: Array, zero: Array) -> None:
        """Run a quantizer of a constant; where it is dequantized, the scale of each channel is noted."""
        value, target = self._constants[node.input[0]], node.output[0]
        scales, zeros = spread(node, value, scale, zero)
        if node.op_type == "QuantizeLinear":
            self._constants[target] = requantized(value, scales, zeros, zero.dtype)
            return
        real = dequantized(node, value, scales, zeros)
        self.found.note_weight(real, scales)
        self.found.fine += value.ndim >= 3 and value.dtype in WIDE
        self._constants[target] = real
        self._weights.append(numpy_helper.from_array(real, target))

    def _rebuilt(self) -> onnx.ModelProto:
        """Return a model of the remaining nodes; the graph's ends keep their names and become float, or uint8 where
        they are codes of their own.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        output = model.graph.output[0]
        if output.name in self._stands:
            inputs = [self._stands[output.name]]
            self._nodes.append(helper.make_node("Identity", inputs, [output.name], name="output_identity"))
        for value, integer in zip((model.graph.input[0], output), self._ends.integer, strict=True):
            kept = integer and self._ends.kept
            value.type.tensor_type.elem_type = TensorProto.UINT8 if kept else TensorProto.FLOAT
        read = {name for node in self._nodes for name in node.input}
        kept_items = [item for item in model.graph.initializer if item.name in read]
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(self._nodes)
        model.graph.initializer.extend([*kept_items, *(item for item in self._weights if item.name in read)])
        model.graph.initializer.extend(self._ends.constants)
        return model
