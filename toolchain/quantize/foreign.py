"""QDQ models of other tools, brought to the canonical form or refused with the reason.

The quantizers are taken off, which leaves a float network and what the other tool had decided: a range for each tensor,
a scale for each channel of each weight. The network is normalized like any other and quantized again with those
decisions. Only the ends change: input and output become pixels exactly.

Accepted: activations of 8 or 16 bits per tensor, signed or not; int8 or uint8 weights per tensor or per channel, as
integers or as QuantizeLinear -> DequantizeLinear of float constants; int32 or float biases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend import normalize
from toolchain.quantize.describe import describe
from toolchain.quantize.plan import QuantizationPlan, make_plan
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import Recipe
from toolchain.quantize.weights import QuantizedWeight, along, outputs_first, safe_scale
from toolchain.reference.bounds import PAIR_LIMIT, find_bounds
from toolchain.reference.graph import Array, GraphView, attributes
from toolchain.reference.pairs import LIMIT, least_scale, round_safely
from toolchain.reference.quantization import Quantization
from toolchain.support.dump import Dump, no_dump
from toolchain.support.errors import ModelError

_OTHER_FORMATS = {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
_WIDE = (np.dtype(np.int16), np.dtype(np.uint16))
_NARROW = (np.dtype(np.int8), np.dtype(np.uint8))
_BROAD_RANGE = 2.0  # an input that reaches beyond this is 0..255, not 0..1
_BOUNDED = {"Tanh": (-1.0, 1.0), "Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0)}
_MERGED = re.compile(r"__\d+$")
_HINT = "deploy the float model instead: it is quantized here"


@dataclass
class _Findings:
    """What the other tool decided.

    ``ranges``: quantizations by tensor. ``joined``: the quantization of the Concat that each tensor is a part of.
    ``scales``: by `_key` of a weight's channel, its scale. ``inputs``: quantizations of the graph's input.
    ``even``: all quantizations of activations are signed, without a zero point.
    """

    ranges: dict[str, Quantization] = field(default_factory=dict)
    joined: dict[str, Quantization] = field(default_factory=dict)
    scales: dict[bytes, float] = field(default_factory=dict)
    inputs: list[Quantization] = field(default_factory=list)
    even: bool = True


def canonicalize(
    model: onnx.ModelProto, *, value_range: str | None = None, name: str | None = None, dump: Dump = no_dump
) -> QuantizedModel:
    """Bring a QDQ ``model`` of any tool to the canonical form.

    Args:
        model: as loaded; not changed.
        value_range: as `normalize` takes it; None: by the input's range in the file, and how the network behaves.
        name: what to call it; by default the graph's own name.
        dump: where the float model is written as it is after each pass.

    Raises:
        ModelError: integer operators instead of QDQ, other numbers of bits, activations per channel, a convolution that
            is not quantized, or what ``normalize`` refuses.
    """
    dequantizer = _Dequantizer(model)
    plain, found = dequantizer.run(), dequantizer.found
    dump("dequantized", ".onnx", plain.SerializeToString)
    said = value_range or _ends(plain, found)
    sr = normalize(plain, value_range=said, likely="0..1", name=name, dump=dump)
    plan = make_plan(sr)
    pixels = pixel_quantization(sr.value_range)
    view = GraphView(sr.model)
    quantizations = dict.fromkeys(plan.pinned, pixels)
    for point in plan.points:
        group = plan.group[point]
        if group not in quantizations:
            quantizations[group] = _group_quantization(plan, group, view, found)
    weights, biases, changed = _weights(plan, view, quantizations, found)
    written = write_qdq(sr, plan, quantizations, weights, biases)
    changes = (*sr.changes, *_changes(found, pixels, changed, len(weights)))
    tensors = describe(plan, quantizations, {}, weights, biases, source="file")
    warnings = (*_doubtful(found, said, sr.changes), *_unsafe(written))
    recipe = Recipe(model=sr.name, settings={}, tensors=tensors, changes=changes, warnings=warnings)
    return QuantizedModel(written, recipe, sr.name, sr.channels, sr.scale, sr.value_range, sr.clip, sr.halo)


def _ends(plain: onnx.ModelProto, found: _Findings) -> str | None:
    """Black and white as the file's range of the input says; None where that may be either 0..1 or -1..1.

    Ranges that lie evenly around zero are also given to what is never negative, by tools that know no other.
    """
    if not found.inputs or not _around_zero(found.inputs[0]):
        return "0..255" if found.inputs and found.inputs[0].high > _BROAD_RANGE else "0..1"
    if found.even:
        return None
    made = found.ranges.get(_last(plain))
    return "-1..1:-1..1" if made is None or _around_zero(made) else "-1..1:0..1"


def _last(plain: onnx.ModelProto) -> str:
    """Return the output, or what is moved into its place."""
    view = GraphView(plain)
    name = view.output
    while (maker := view.producers.get(name)) and maker.op_type in ("Identity", "DepthToSpace"):
        name = maker.input[0]
    return name


def _around_zero(given: Quantization) -> bool:
    return given.low < -_BROAD_RANGE / 4 and given.high <= _BROAD_RANGE


def _doubtful(found: _Findings, said: str | None, changes: tuple[str, ...]) -> tuple[str, ...]:
    """Say that black and white were guessed, where a range in the file speaks against it."""
    guessed = said is None and found.inputs and _around_zero(found.inputs[0])
    if not guessed or any(change.startswith("made both ends 0..1") for change in changes):
        return ()
    low, high = found.inputs[0].low, found.inputs[0].high
    return (
        f"the file quantizes the input to {low:.3g}..{high:.3g}, the network behaves as one on 0..1 and is taken for "
        "that; say --range -1..1 if it is not",
    )


def _changes(found: _Findings, pixels: Quantization, changed: int, weights: int) -> tuple[str, ...]:
    notes = []
    if any(given != pixels for given in found.inputs):
        notes.append("the input is quantized as pixels, not by the range in the file")
    if changed:
        notes.append(f"the weights of {changed} of {weights} convolutions were rounded again")
    return tuple(notes)


def _unsafe(written: onnx.ModelProto) -> tuple[str, ...]:
    """Say that other runtimes may saturate, where they may."""
    found = find_bounds(written).accumulators
    unsafe = sum(one.pair >= PAIR_LIMIT for one in found)
    if not unsafe:
        return ()
    return (
        f"the weights of {unsafe} of {len(found)} convolutions are too large in pairs for 16 bits: on x86 without "
        "VNNI onnxruntime and OpenVINO give another picture than the bundle; deploying the float model avoids it",
    )


class _Dequantizer:
    """Takes the quantizers off a graph, node by node, and notes what they say.

    Args:
        model: as loaded; not changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.view, self.found = model, GraphView(model), _Findings()
        self.constants = {**self.view.constants, **_constant_nodes(model)}
        self.stands: dict[str, str] = {}  # by the output of a quantizer that was taken off, the tensor in its place
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def run(self) -> onnx.ModelProto:
        """Return the float network that is left.

        Raises:
            ModelError: as `canonicalize`.
        """
        for node in self.model.graph.node:
            if node.op_type in _OTHER_FORMATS or node.op_type.startswith("QLinear"):
                raise ModelError(f"the model computes with '{node.op_type}', not with QuantizeLinear pairs", hint=_HINT)
            if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
                self._keep(node)
            elif node.input[0] in self.constants:
                self._constant(node, *_parameters(node, self.constants))
            else:
                self._activation(node, *_parameters(node, self.constants))
        for node in self.nodes:
            if node.op_type == "Concat" and node.output[0] in self.found.ranges:
                self.found.joined.update(dict.fromkeys(node.input, self.found.ranges[node.output[0]]))
        return self._rebuilt()

    def _keep(self, node: onnx.NodeProto) -> None:
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        for index, name in enumerate(kept.input):
            kept.input[index] = self.stands.get(name, name)
        self.nodes.append(kept)

    def _activation(self, node: onnx.NodeProto, scale: Array, zero: Array) -> None:
        """Take a quantizer of an activation off; that of a QuantizeLinear is noted."""
        tensor = self.stands.get(node.input[0], node.input[0])
        if node.op_type == "QuantizeLinear":
            given = _per_tensor(tensor, scale, zero)
            self.found.even &= zero.dtype in (np.int8, np.int16) and not zero.any()
            if tensor == self.view.input:
                self.found.inputs.append(given)
            else:
                tensor = self._positive(tensor) if given.zero_point == 0 else tensor
                self.found.ranges[tensor] = given
        self.stands[node.output[0]] = tensor

    def _positive(self, tensor: str) -> str:
        """Return the tensor behind a Relu that is put back: other tools drop it where the range already starts at zero,
        and the range may be moved.
        """
        maker = self.view.producers.get(tensor)
        if maker is None or maker.op_type not in ("Conv", "ConvTranspose", "Add"):
            return tensor
        name = f"{tensor}_positive"
        if name not in self.found.ranges:
            self.nodes.append(helper.make_node("Relu", [tensor], [name], name=f"{name}_relu"))
        return name

    def _constant(self, node: onnx.NodeProto, scale: Array, zero: Array) -> None:
        """Run a quantizer of a constant; where it is dequantized, the scale of each channel is noted."""
        value, target = self.constants[node.input[0]], node.output[0]
        axis = attributes(node).get("axis", 1) % max(value.ndim, 1)
        shape = [-1 if index == axis else 1 for index in range(value.ndim)] if scale.size > 1 else []
        scales, zeros = scale.reshape(shape), zero.reshape(shape)
        if node.op_type == "QuantizeLinear":
            limits = np.iinfo(zero.dtype)
            codes = np.clip(np.rint(value / scales) + zeros, limits.min, limits.max).astype(zero.dtype)
            self.constants[target] = codes
            return
        if value.dtype not in (*_NARROW, np.dtype(np.int32)):
            raise ModelError(f"the constant '{node.input[0]}' is quantized to {value.dtype}, not to 8 bits", hint=_HINT)
        real = ((value.astype(np.int64) - zeros.astype(np.int64)).astype(np.float32) * scales).astype(np.float32)
        for channels in (0, 1) if value.ndim >= 3 else ():
            wide = np.moveaxis(np.broadcast_to(scales, value.shape), channels, 0).reshape(value.shape[channels], -1)
            for row, own in zip(outputs_first(real, channels), wide, strict=True):
                if (own == own[0]).all():
                    key, power = _key(row)
                    self.found.scales[key] = float(own[0]) / power
        self.constants[target] = real
        self.weights.append(numpy_helper.from_array(real, target))

    def _rebuilt(self) -> onnx.ModelProto:
        """Return a model of the remaining nodes; the graph's output keeps its name and becomes float."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        output = model.graph.output[0]
        if output.name in self.stands:
            inputs = [self.stands[output.name]]
            self.nodes.append(helper.make_node("Identity", inputs, [output.name], name="output_identity"))
        for value in (output, model.graph.input[0]):
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        read = {name for node in self.nodes for name in node.input}
        kept = [item for item in model.graph.initializer if item.name in read]
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend([*kept, *(item for item in self.weights if item.name in read)])
        return model


def _constant_nodes(model: onnx.ModelProto) -> dict[str, Array]:
    found = {}
    for node in model.graph.node:
        if node.op_type == "Constant" and "value" in attributes(node):
            found[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
    return found


def _parameters(node: onnx.NodeProto, constants: dict[str, Array]) -> tuple[Array, Array]:
    if node.input[1] not in constants or (len(node.input) > 2 and node.input[2] and node.input[2] not in constants):
        raise ModelError(f"the scale of '{node.input[0]}' is computed at run time", hint=_HINT)
    scale = constants[node.input[1]].astype(np.float32)
    zero = constants[node.input[2]] if len(node.input) > 2 and node.input[2] else np.zeros(scale.shape, np.uint8)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ModelError(f"the scale of '{node.input[0]}' is not a positive number", hint=_HINT)
    return scale, zero


def _per_tensor(tensor: str, scale: Array, zero: Array) -> Quantization:
    """Return what the quantizer of an activation says, as if its codes were unsigned."""
    if scale.size != 1:
        raise ModelError(f"the tensor '{tensor}' is quantized per channel", hint=_HINT)
    if zero.dtype not in (*_NARROW, *_WIDE):
        raise ModelError(f"the tensor '{tensor}' is quantized to {zero.dtype}, not to 8 or 16 bits", hint=_HINT)
    zero_point = int(zero.reshape(())) - int(np.iinfo(zero.dtype).min)
    return Quantization(float(scale.reshape(())), zero_point, 8 * zero.dtype.itemsize)


def _key(row: Array) -> tuple[bytes, float]:
    """Return the weights of a channel but for a power of two, and that: ends that were around zero become half
    as wide.
    """
    power = float(np.exp2(np.floor(np.log2(largest)))) if (largest := float(np.abs(row).max(initial=0.0))) else 1.0
    return (row / np.float32(power)).tobytes(), power


def _group_quantization(plan: QuantizationPlan, group: str, view: GraphView, found: _Findings) -> Quantization:
    """Return what the file says of any tensor of a group: those that are merely moved share what was said of one of
    them.
    """
    members = [name for name in plan.points if plan.group[name] == group]
    joined = [name for name in members if view.producers[name].op_type == "Concat"]
    for name in [*joined, *members, *(other for other in plan.group if plan.group[other] == group)]:
        if name in found.ranges:
            return found.ranges[name]
        # Merged parallel convolutions are called after the first of them, and stand for the Concat they replace.
        first = _MERGED.sub("", name)
        if first != name and (first in found.joined or first in found.ranges):
            return found.joined.get(first) or found.ranges[first]
    for name in members:
        maker = view.producers[name]
        if maker.op_type in _BOUNDED:
            return Quantization.of_range(*_BOUNDED[maker.op_type], bits=8)
        before = found.ranges.get(maker.input[0])
        if maker.op_type == "Relu" and before is not None:
            return Quantization.of_range(0.0, before.high, bits=before.bits)
        if before is not None and maker.op_type in ("Clip", "PRelu", "LeakyRelu"):
            return before
    raise ModelError(f"the tensor '{members[0]}' is not quantized in this model, others are", hint=_HINT)


def _weights(
    plan: QuantizationPlan, view: GraphView, quantizations: dict[str, Quantization], found: _Findings
) -> tuple[dict[str, QuantizedWeight], dict[str, NDArray[np.float32]], int]:
    weights: dict[str, QuantizedWeight] = {}
    biases: dict[str, NDArray[np.float32]] = {}
    changed = 0
    for output, site in plan.convolutions.items():
        weight = view.constants[site.weight].astype(np.float32)
        rows = outputs_first(weight, site.axis)
        # The file's scale makes the file's codes again, pairs that other processors saturate among them. A channel
        # without one (or with codes beyond -127) is rounded like our own.
        known = np.array([found.scales.get(key, 0.0) * power for key, power in map(_key, rows)])
        largest = np.abs(rows).max(axis=(1, 2, 3), initial=0.0).astype(np.float64)
        fits = (known > 0) & (np.rint(largest / np.where(known > 0, known, 1.0)) <= LIMIT)
        changed += int(not fits.all())
        scale = np.where(fits, known, least_scale(rows.astype(np.float64)))
        bias = (
            view.constants[site.bias].astype(np.float32) if site.bias else np.zeros(_outputs(view, output), np.float32)
        )
        folded = np.abs(bias).reshape(-1, len(scale)).max(axis=0)
        safe = safe_scale(scale, folded, quantizations[plan.group[site.source]].scale)
        steps = rows / along(safe.astype(np.float64), 0, rows.ndim)
        kept = np.clip(np.rint(steps), -LIMIT, LIMIT).astype(np.int8)
        codes = np.where(along(fits, 0, rows.ndim), kept, round_safely(steps))
        weights[output] = QuantizedWeight(
            np.ascontiguousarray(np.moveaxis(codes, 0, site.axis)), safe, site.axis, "file"
        )
        biases[output] = bias
    return weights, biases, changed


def _outputs(view: GraphView, output: str) -> int:
    node = view.producers[output]
    shape = view.constants[node.input[1]].shape
    return int(shape[0] if node.op_type == "Conv" else shape[1] * attributes(node).get("group", 1))
