"""A network as a list of what it does, to be drawn: kernels of an integer one, operators of a float one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain.reference.graph import GraphView
from toolchain.reference.program import FloatStep, ShuffleStep, Step, parse
from toolchain.reference.steps import Activation, ConvStep, ExtremeStep, InputStep, SpaceToDepthStep

if TYPE_CHECKING:
    import onnx

    from toolchain.reference.network import Layer

_CODES = "_quantized"
_KINDS = {
    "SumStep": "sum",
    "ConcatStep": "channels joined",
    "SelectStep": "some channels",
    "WindowStep": "border",
    "TableStep": "function by a table",
    "ResizeStep": "interpolation",
    "ProductStep": "product",
    "GlobalPoolStep": "mean of the picture",
    "ChannelPoolStep": "extreme of channels",
    "NormalizationStep": "normalization",
    "PoolStep": "largest of a window",
    "AverageStep": "mean of a window",
}


@dataclass(frozen=True)
class Part:
    """One thing that a network does.

    Attributes:
        tensor: what it makes, by its name in the float network.
        kind: what it is, for people.
        detail: sizes and what else is done within; may be empty.
        reads: tensors, by such names.
        layer: name of a convolution, as `toolchain.reference.network.Layer` has it; empty of anything else.
        bits: of the codes that it makes; None of floats.
    """

    tensor: str
    kind: str
    detail: str
    reads: tuple[str, ...]
    layer: str = ""
    bits: int | None = None

    @property
    def name(self) -> str:
        """What people know it by."""
        return plain_name(self.layer or self.tensor)


def plain_name(name: str) -> str:
    """Return a tensor's name without what exporters add to every one."""
    short = name.removesuffix(_CODES).removesuffix("_output_0").removesuffix("/Conv").strip("/")
    return short or name


def integer_parts(model: onnx.ModelProto, layers: Mapping[str, Layer]) -> tuple[Part, ...]:
    """Return the kernels of canonical QDQ, in order; ``layers``: its convolutions, by name.

    Raises:
        ModelError: as `toolchain.reference.program.parse`.
    """
    return tuple(_integer(step, layers) for step in parse(model).steps)


def _integer(step: Step, layers: Mapping[str, Layer]) -> Part:
    made = str(step.out.tensor).removesuffix(_CODES)
    reads = tuple(str(codes.tensor).removesuffix(_CODES) for codes in step.reads)
    bits = step.out.quantization.bits
    if isinstance(step, InputStep):
        return Part(made, "picture", "pixels as they are", (), bits=bits)
    if isinstance(step, ConvStep):
        layer = layers.get(str(step.accumulator))
        added = "" if step.residual is None else "with a sum"
        inside = (_activation(step.before), added, _activation(step.after))
        detail = ", ".join(word for word in (_sizes(layer) if layer else "", *inside) if word)
        return Part(made, "convolution", detail, reads, str(step.accumulator), bits)
    if isinstance(step, ShuffleStep):
        return Part(made, "depth to space", f"x{step.block}", reads, bits=bits)
    if isinstance(step, SpaceToDepthStep):
        return Part(made, "space to depth", f"x{step.size}", reads, bits=bits)
    if isinstance(step, FloatStep):
        return Part(made, "in float", ", ".join(step.operators), reads, bits=bits)
    if isinstance(step, ExtremeStep):
        return Part(made, f"{step.kind}imum", "", reads, bits=bits)
    after = _activation(getattr(step, "after", None))
    return Part(made, _KINDS.get(type(step).__name__, "kernel"), after, reads, bits=bits)


def _activation(found: Activation | None) -> str:
    if found is None:
        return ""
    if found.slopes is not None:
        return "PReLU" if found.slopes.size > 1 else "leaky ReLU"
    if found.low == 0:
        return "ReLU" if found.high == float("inf") else f"ReLU up to {found.high:g}"
    return f"clip {found.low:g}..{found.high:g}" if found.low > float("-inf") or found.high < float("inf") else ""


def _sizes(layer: Layer) -> str:
    if len(layer.weight) != 4:
        return ""
    first, second, height, width = layer.weight
    # Conv: (out, in / groups, h, w); ConvTranspose: (in, out / groups, h, w).
    given, made = (second * layer.groups, first) if layer.operator == "Conv" else (first, second * layer.groups)
    grouped = f" in {layer.groups} groups" if layer.groups > 1 else ""
    return f"{height}x{width}, {given} to {made} channels{grouped}"


def float_parts(model: onnx.ModelProto, layers: Mapping[str, Layer]) -> tuple[Part, ...]:
    """Return the operators of a normalized float network that compute anything, in order."""
    view = GraphView(model)
    known = {view.input}
    parts = [Part(view.input, "picture", "", ())]
    for node in model.graph.node:
        reads = tuple(name for name in node.input if name in known)
        if not reads:
            continue
        known.update(node.output)
        layer = layers.get(node.output[0])
        kind = "convolution" if layer else node.op_type
        detail = _sizes(layer) if layer else ""
        parts.append(Part(node.output[0], kind, detail, reads, node.output[0] if layer else ""))
    return tuple(parts)
