"""The float network with some of its parts quantized: a QuantizeLinear and DequantizeLinear, or rounded weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend import SRModel
from toolchain.quantize.plan import make_plan
from toolchain.quantize.qdq import for_bits, name_weights
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import TensorRecipe
from toolchain.quantize.weights import along
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.quantization import Quantization
from toolchain.support.errors import ModelError


@dataclass(frozen=True)
class Part:
    """Something that is quantized by itself.

    Attributes:
        kind: "activation", a tensor of the network and those that share its range because values are moved between
            them, or "weights", the weights and biases of a convolution.
        name: of the last such tensor, or of the convolution's output.
        operator: what computes it.
        tensors: the activation tensors, in graph order; empty for weights.
        channels: those of its channels that are meant, of ``of``; None: all.
    """

    kind: Literal["activation", "weights"]
    name: str
    operator: str
    tensors: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None
    of: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"{self.name} (weights)" if self.kind == "weights" else self.name


def balanced(model: QuantizedModel) -> SRModel:
    """Return the float network that ``model`` quantizes.

    Raises:
        ModelError: another tool quantized it.
    """
    if model.balanced is None:
        raise ModelError(f"the float network of '{model.name}' is not known", hint="give the float model")
    return model.balanced


def list_parts(model: QuantizedModel) -> tuple[Part, ...]:
    """Return every part that rounds anything, in graph order; the input does not, its codes are the pixels.

    Raises:
        ModelError: another tool quantized the model.
    """
    sr = balanced(model)
    plan, view = make_plan(sr), GraphView(sr.model)
    groups: dict[str, list[str]] = {}
    for name in plan.points:
        if name != view.input:
            groups.setdefault(plan.group[name], []).append(name)
    together = {names[-1]: tuple(names) for names in groups.values()}
    parts = []
    for node in sr.model.graph.node:
        for name in node.output:
            if name in plan.convolutions:
                parts.append(Part("weights", name, node.op_type))
            if name in together:
                parts.append(Part("activation", name, node.op_type, together[name]))
    return tuple(parts)


def write_variant(model: QuantizedModel, parts: Collection[Part]) -> onnx.ModelProto:
    """Return the float network in which only ``parts`` are quantized, as ``model`` quantizes them.

    Raises:
        ModelError: another tool quantized the model.
    """
    sr = balanced(model)
    floats = for_bits(sr.model, [item.bits for item in model.recipe.tensors if item.role == "activation"])
    given = GraphView(model.model).constants
    tensors = _channels(parts)
    rounded = {part.name for part in parts if part.kind == "weights"}
    names = name_weights(make_plan(sr))
    nodes: list[onnx.NodeProto] = []
    constants = {item.name: item for item in floats.graph.initializer}
    activations = {item.name: item for item in model.recipe.tensors if item.role == "activation"}

    def constant(name: str, values: Array) -> str:
        constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    for original in floats.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        nodes.append(node)
        if node.output[0] in rounded:
            name = names[node.output[0]]
            weight, bias = _real(given, name, transposed=node.op_type == "ConvTranspose")
            taken = [node.input[0], constant(f"{name}_rounded", weight), constant(f"{name}_bias_rounded", bias)]
            del node.input[:]
            node.input.extend(taken)
        for index, tensor in enumerate(original.output):
            if tensor in tensors:
                node.output[index] = f"{tensor}_exact"
                item = activations[tensor]
                scale = constant(f"{tensor}_step", np.asarray(item.scale[0], np.float32))
                zero = constant(f"{tensor}_zero", np.asarray(item.zero_point[0], item.dtype))
                codes = f"{tensor}_codes"
                nodes.append(helper.make_node("QuantizeLinear", [f"{tensor}_exact", scale, zero], [codes]))
                chosen = tensors[tensor]
                real = tensor if chosen is None else f"{tensor}_real"
                nodes.append(helper.make_node("DequantizeLinear", [codes, scale, zero], [real]))
                if chosen is not None:
                    mask = constant(f"{tensor}_chosen", chosen)
                    # Finer codes of a part of the channels end where the others do.
                    low, high = (
                        constant(f"{tensor}_{end}", np.asarray(value, np.float32)) for end, value in _ends(item)
                    )
                    nodes.append(helper.make_node("Clip", [f"{tensor}_exact", low, high], [f"{tensor}_within"]))
                    nodes.append(helper.make_node("Where", [mask, real, f"{tensor}_within"], [tensor]))
    read = {name for node in nodes for name in node.input}
    variant = onnx.ModelProto()
    variant.CopyFrom(floats)
    del variant.graph.node[:], variant.graph.initializer[:]
    variant.graph.node.extend(nodes)
    variant.graph.initializer.extend(item for name, item in constants.items() if name in read)
    return variant


def _ends(item: TensorRecipe) -> tuple[tuple[str, float], tuple[str, float]]:
    """Return the least and the largest number that codes of a tensor stand for."""
    given = Quantization(item.scale[0], item.zero_point[0], item.bits)
    return ("low", given.low), ("high", given.high)


def _channels(parts: Collection[Part]) -> dict[str, Array | None]:
    """Return the tensors that are quantized, and which of their channels: bool (1, C, 1, 1); None: all."""
    found: dict[str, Array | None] = {}
    for part in parts:
        for name in part.tensors:
            if part.channels is None:
                found[name] = None
                continue
            mask = found.setdefault(name, np.zeros((1, part.of, 1, 1), bool))
            if mask is not None:
                mask[:, part.channels] = True
    return {name: None if mask is not None and mask.all() else mask for name, mask in found.items()}


def _real(given: Mapping[str, Array], name: str, *, transposed: bool) -> tuple[Array, Array]:
    """Return the float32 weights and biases that the codes called ``name`` stand for."""
    codes, scale = given[f"{name}_quantized"], given[f"{name}_scale"]
    weight = codes.astype(np.float32) * along(scale, int(transposed), codes.ndim)
    bias = given[f"{name}_bias_quantized"].astype(np.float32) * given[f"{name}_bias_scale"]
    return weight, bias
