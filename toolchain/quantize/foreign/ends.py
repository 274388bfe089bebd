"""The ends of a quantized network: what black and white are, and codes that go in or come out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.graph import known_constants
from toolchain.frontend.stored import parameters
from toolchain.frontend.value_range import BYTES, UNIT
from toolchain.quantize.foreign.findings import Findings, per_tensor
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.quantization import BITS, QMAX, QMIN, Quantization

_BROAD_RANGE = 2.0  # an input that reaches beyond this is 0..255, not 0..1
_INTEGERS = (TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16)


class IntegerEnds:
    """Ends of a graph that are codes: apps hand pixels over as they are, whatever number the file takes them for.

    Where codes stand for 0..1 or 0..255, such an end is the float network's. Otherwise, and where both have 8 bits,
    they are kept as pixels: numbers are made of them, and codes of numbers, by operators that say how.

    Attributes:
        integer: whether input and output are codes.
        kept: whether they remain pixels.
        constants: initializers for the nodes that were made.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """Look at the ends of ``model``, which is not changed."""
        graph = model.graph
        kinds = [value.type.tensor_type.elem_type in _INTEGERS for value in (graph.input[0], graph.output[0])]
        self.integer = (kinds[0], kinds[1])
        self._view = GraphView(model)
        self.constants: list[onnx.TensorProto] = []
        given = _given(model) if any(kinds) else []
        self.kept = any(not _usual(one) for one in given) and all(one.bits == BITS for one in given)

    def numbers(self, codes: str, target: str, given: Quantization) -> list[onnx.NodeProto]:
        """Return the nodes that make float ``target`` of uint8 ``codes``."""
        real, moved = self._view.unused(f"{target}_of_pixels"), self._view.unused(f"{target}_moved")
        return [
            helper.make_node("Cast", [codes], [real], name=real, to=TensorProto.FLOAT),
            helper.make_node("Sub", [real, self._constant(f"{target}_zero", given.zero_point)], [moved], name=moved),
            helper.make_node("Mul", [moved, self._constant(f"{target}_scale", given.scale)], [target], name=target),
        ]

    def codes(self, source: str, target: str, given: Quantization) -> list[onnx.NodeProto]:
        """Return the nodes that make uint8 ``target`` of float ``source``."""
        steps, moved, whole, kept = (
            self._view.unused(f"{target}_{word}") for word in ("steps", "moved", "whole", "kept")
        )
        ends = [self._constant(f"{target}_{word}", end) for word, end in (("black", QMIN), ("white", QMAX))]
        # Multiplied, not divided: one float32 product is what scaling weights by the same number gives.
        return [
            helper.make_node("Mul", [source, self._constant(f"{target}_by", 1 / given.scale)], [steps], name=steps),
            helper.make_node("Add", [steps, self._constant(f"{target}_zero", given.zero_point)], [moved], name=moved),
            helper.make_node("Round", [moved], [whole], name=whole),
            helper.make_node("Clip", [whole, *ends], [kept], name=kept),
            helper.make_node("Cast", [kept], [target], name=target, to=TensorProto.UINT8),
        ]

    def _constant(self, wanted: str, value: float) -> str:
        name = self._view.unused(wanted, *(item.name for item in self.constants))
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name


def _given(model: onnx.ModelProto) -> list[Quantization]:
    """Return how codes at the ends of a graph are read, where that is said."""
    view = GraphView(model)
    constants: dict[str, Array] = known_constants(model)
    moved = {view.input}
    found = []
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in moved:
            found.append(per_tensor(node.input[0], *parameters(node, constants)))
        elif node.op_type in MOVING and node.input[0] in moved:
            moved.update(node.output)
    name = view.output
    while (maker := view.producers.get(name)) is not None and maker.op_type in MOVING:
        name = maker.input[0]
    if maker is not None and maker.op_type == "QuantizeLinear":
        found.append(per_tensor(name, *parameters(maker, constants)))
    return found


MOVING = ("Transpose", "Reshape", "Identity", "Gather", "Slice", "Squeeze", "Unsqueeze")
"""Operators that hand on what they are given, in other places."""


def _usual(given: Quantization) -> bool:
    return any(np.allclose((given.low, given.high), bounds, rtol=1e-4, atol=1e-6) for bounds in (UNIT, BYTES))


def find_ends(plain: onnx.ModelProto, found: Findings) -> str | None:
    """Black and white as the file's range of the input says; None where that may be either 0..1 or -1..1, or where
    pixels come in.

    Ranges that lie evenly around zero are also given to what is never negative, by tools that know no other.
    """
    kinds = [
        value.type.tensor_type.elem_type == TensorProto.UINT8 for value in (*plain.graph.input, *plain.graph.output)
    ]
    made = found.ranges.get(_last(plain))
    if any(kinds):
        other = found.inputs[0] if found.inputs else made
        word = "0..255" if other is not None and other.high > _BROAD_RANGE else "0..1"
        return None if all(kinds) else ":".join("0..255" if kind else word for kind in kinds)
    if not found.inputs or not _around_zero(found.inputs[0]):
        return "0..255" if found.inputs and found.inputs[0].high > _BROAD_RANGE else "0..1"
    if found.even:
        return None
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


def find_doubts(found: Findings, said: str | None, changes: tuple[str, ...]) -> tuple[str, ...]:
    """Say that black and white were guessed, where a range in the file speaks against it."""
    guessed = said is None and found.inputs and _around_zero(found.inputs[0])
    if not guessed or any(change.startswith("made both ends 0..1") for change in changes):
        return ()
    low, high = found.inputs[0].low, found.inputs[0].high
    return (
        f"the file quantizes the input to {low:.3g}..{high:.3g}, the network behaves as one on 0..1 and is taken for "
        "that; say --range -1..1 if it is not",
    )
