"""Writes the canonical QDQ model: standard ONNX, opset 17, or 21 where a tensor is kept at 16 bits.

Activations are uint8 or uint16, weights int8 per output channel, biases int32. Every point of the plan becomes
QuantizeLinear -> DequantizeLinear; its readers read the latter. The last quantization is the pixels' own, so that
integer saturation does what a final clip would do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from toolchain.frontend.explain import refusal
from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.weights import QuantizedWeight, bias_scale, round_bias
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.quantization import BITS, Quantization
from toolchain.support.errors import CalibrationError

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

_WIDE_OPSET, _WIDE_IR = 21, 10


def pixel_quantization(value_range: tuple[float, float]) -> Quantization:
    """Return the quantization whose codes are the pixels: scale 1/255 or 1, zero point 0."""
    return Quantization(float(np.float32((value_range[1] - value_range[0]) / 255)), 0)


def write_qdq(
    sr: SRModel,
    plan: QuantizationPlan,
    quantizations: Mapping[str, Quantization],
    weights: Mapping[str, QuantizedWeight],
    biases: Mapping[str, Array],
) -> onnx.ModelProto:
    """Write the quantized model.

    Args:
        sr: the float network, its convolutions unchanged from when ``plan`` was made.
        plan: which tensors are quantized.
        quantizations: by the group's name; pinned groups may be left out.
        weights: by the name of the convolution's output.
        biases: float biases (O,) by the name of the convolution's output.

    Raises:
        CalibrationError: a group has no quantization.
        ModelError: a tensor is kept at 16 bits, and an operator cannot be expressed in opset 21.
    """
    return _Writer(sr, plan, quantizations).write(weights, biases)


def float_end(view: GraphView) -> str:
    """Return the name of the tensor before the last quantizer, where that quantizer makes the output of a float
    network.
    """
    return view.unused(f"{view.output}_float")


def name_weights(plan: QuantizationPlan) -> dict[str, str]:
    """Return the names of the convolutions' weights, by convolution output, made unique where convolutions
    share one.
    """
    names: dict[str, str] = {}
    used: set[str] = set()
    for output, site in plan.convolutions.items():
        names[output] = site.weight if site.weight not in used else f"{site.weight}_of_{output}"
        used.add(site.weight)
    return names


class _Writer:
    def __init__(self, sr: SRModel, plan: QuantizationPlan, quantizations: Mapping[str, Quantization]) -> None:
        self.sr, self.plan = sr, plan
        self.view = GraphView(sr.model)
        self.end = float_end(self.view)
        pixels = pixel_quantization(sr.value_range)
        self.quantizations = {**quantizations, **dict.fromkeys(plan.pinned, pixels)}
        missing = sorted({plan.group[point] for point in plan.points} - set(self.quantizations))
        if missing:
            raise CalibrationError(f"no range is known for the tensor '{missing[0]}'")
        self.given = for_bits(sr.model, [quantization.bits for quantization in self.quantizations.values()])
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def write(self, weights: Mapping[str, QuantizedWeight], biases: Mapping[str, Array]) -> onnx.ModelProto:
        points = set(self.plan.points)
        self._point(self.view.input)
        names = name_weights(self.plan)
        for original in self.given.graph.node:
            node = onnx.NodeProto()
            node.CopyFrom(original)
            region = self.plan.tables.get(node.output[0])
            for index, name in enumerate(node.input):
                if name in points and (region is None or self.plan.tables.get(name) != region):
                    node.input[index] = f"{name}_dequantized"
            site = self.plan.convolutions.get(node.output[0])
            if site is not None:
                source = self._of(site.source)
                inputs = [
                    node.input[0],
                    *self._constants(names[site.output], source, weights[site.output], biases[site.output]),
                ]
                del node.input[:]
                node.input.extend(inputs)
            ends = [name for name in node.output if name in points]
            if self.view.output in ends:
                node.output[list(node.output).index(self.view.output)] = self.end
            self.nodes.append(node)
            for name in ends:
                self._point(name)
        return self._model()

    def _of(self, tensor: str) -> Quantization:
        return self.quantizations[self.plan.group[tensor]]

    def _constant(self, name: str, value: Array) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def _point(self, tensor: str) -> None:
        quantization = self._of(tensor)
        last = tensor == self.view.output
        scale = self._constant(f"{tensor}_scale", np.asarray(quantization.scale, np.float32))
        zero = self._constant(f"{tensor}_zero_point", np.asarray(quantization.zero_point, quantization.dtype))
        codes = f"{tensor}_quantized"
        self._node("QuantizeLinear", [self.end if last else tensor, scale, zero], codes)
        self._node("DequantizeLinear", [codes, scale, zero], tensor if last else f"{tensor}_dequantized")

    def _constants(self, name: str, source: Quantization, weight: QuantizedWeight, bias: Array) -> list[str]:
        scale = self._constant(f"{name}_scale", weight.scale)
        zero = self._constant(f"{name}_zero_point", np.zeros(len(weight.scale), np.int8))
        codes = self._constant(f"{name}_quantized", weight.codes)
        self._node("DequantizeLinear", [codes, scale, zero], f"{name}_dequantized", axis=weight.axis)
        # A transposed convolution's groups share their channels' scales.
        scales = np.tile(weight.scale, len(bias) // len(weight.scale))
        sums = self._constant(f"{name}_bias_scale", bias_scale(source.scale, scales))
        steps = self._constant(f"{name}_bias_quantized", round_bias(bias, source.scale, scales))
        self._node("DequantizeLinear", [steps, sums], f"{name}_bias_dequantized", axis=0)
        return [f"{name}_dequantized", f"{name}_bias_dequantized"]

    def _node(self, kind: str, inputs: list[str], output: str, **settings: int) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}_{kind}", **settings))

    def _model(self) -> onnx.ModelProto:
        given = self.given
        read = {name for node in self.nodes for name in node.input}
        kept = [item for item in given.graph.initializer if item.name in read]
        graph = helper.make_graph(
            self.nodes,
            given.graph.name or "network",
            given.graph.input,
            given.graph.output,
            [*kept, *self.initializers],
        )
        model = helper.make_model(graph, opset_imports=given.opset_import, producer_name="clipfree")
        model.ir_version = min(given.ir_version, 10)
        return model


def for_bits(model: onnx.ModelProto, bits: Collection[int]) -> onnx.ModelProto:
    """Return the model in an opset whose QuantizeLinear knows codes of so many bits.

    Raises:
        ModelError: an operator of the model cannot be expressed in it.
    """
    if set(bits) <= {BITS}:
        return model
    try:
        raised: onnx.ModelProto = version_converter.convert_version(model, _WIDE_OPSET)
    except Exception as error:  # the converter throws RuntimeError, but also what pybind makes of C++ exceptions
        doing = f"a tensor of 16 bits wants opset {_WIDE_OPSET}, to which the model cannot be converted"
        raise refusal(doing, error, hint="leave all tensors at 8 bits") from error
    raised.ir_version = _WIDE_IR
    return _stored(raised)


def _stored(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make initializers of the constants that the converter writes as nodes: of what became an operand."""
    kept = []
    for node in model.graph.node:
        (value,) = [item.t for item in node.attribute if item.name == "value"] or [None]
        if node.op_type != "Constant" or value is None:
            kept.append(node)
            continue
        stored = model.graph.initializer.add()
        stored.CopyFrom(value)
        stored.name = node.output[0]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
