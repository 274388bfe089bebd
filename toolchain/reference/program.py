"""A canonical QDQ graph read as a list of integer kernels.

Every QuantizeLinear ends one kernel: the chain of nodes between it and the DequantizeLinears before it. Chains that
have no integer form become one float step between dequantize and quantize.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from toolchain.frontend.window import read_window
from toolchain.reference.average import read_average
from toolchain.reference.channel_pool import read_channel_pool
from toolchain.reference.convolution import Convolution
from toolchain.reference.down import read_down
from toolchain.reference.evaluator import evaluator
from toolchain.reference.global_pool import read_pool
from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.normalization import read_normalization
from toolchain.reference.pointwise import match_table
from toolchain.reference.products import read_pair
from toolchain.reference.quantization import BITS, Quantization
from toolchain.reference.resizing import read_resize
from toolchain.reference.steps import (
    Activation,
    AverageStep,
    ChannelPoolStep,
    Codes,
    ConcatStep,
    ConvStep,
    ExtremeStep,
    GlobalPoolStep,
    InputStep,
    IntegerStep,
    PoolStep,
    ProductStep,
    SelectStep,
    SpaceToDepthStep,
    SumStep,
    WindowStep,
)
from toolchain.support.errors import ModelError

ACTIVATIONS = ("Relu", "PRelu", "LeakyRelu", "Clip")


@dataclass(frozen=True, eq=False)
class ShuffleStep:
    """Depth to space on codes, ``mode`` "DCR" or "CRD"."""

    out: Codes
    source: Codes
    block: int
    mode: str

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class FloatStep:
    """Operators without an integer form, run in float32 between dequantize and quantize."""

    out: Codes
    sources: tuple[tuple[str, Codes], ...]
    evaluator: ReferenceEvaluator
    operators: tuple[str, ...]

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return tuple(codes for _, codes in self.sources)


Step: TypeAlias = IntegerStep | ShuffleStep | FloatStep


@dataclass(frozen=True)
class Program:
    """The kernels in order and the codes that leave the graph."""

    steps: tuple[Step, ...]
    result: Codes


def parse(model: onnx.ModelProto) -> Program:
    """Read a canonical QDQ model.

    Raises:
        ModelError: the graph's ends are not quantized as pixels, or a convolution's accumulator could overflow.
    """
    return _Parser(GraphView(model)).program()


class _Parser:
    def __init__(self, view: GraphView) -> None:
        self.view = view
        self.codes: dict[str, Codes] = {}  # by the name of the float tensor that stands for them
        self.single: set[str] = set()  # codes of a single pixel

    def program(self) -> Program:
        steps: list[Step] = []
        for node in self.view.model.graph.node:
            if node.op_type == "QuantizeLinear":
                steps.append(self._kernel(node))
                read = [codes.tensor for codes in steps[-1].reads]
                if isinstance(steps[-1], GlobalPoolStep) or (read and self.single.issuperset(read)):
                    self.single.add(node.output[0])
            elif node.op_type == "DequantizeLinear" and not self.view.is_constant(node.input[0]):
                self.codes[node.output[0]] = Codes(node.input[0], self._quantization(node))
            elif node.op_type == "DepthToSpace" and node.input[0] in self.codes:
                steps.append(self._shuffle(node))
        result = self.codes.get(self.view.output)
        if result is None or result.quantization.bits != BITS:
            raise ModelError(f"the output '{self.view.output}' of the quantized model is not made of uint8 codes")
        return Program(tuple(steps), result)

    def _quantization(self, node: onnx.NodeProto) -> Quantization:
        constants = self.view.constants
        scale = constants[node.input[1]]
        zero = constants.get(node.input[2]) if len(node.input) > 2 else np.zeros((), np.uint8)
        if zero is None or zero.dtype not in (np.uint8, np.uint16) or scale.size != 1:
            raise ModelError(f"'{node.input[0]}' is not quantized per tensor to uint8 or uint16")
        return Quantization(float(scale.reshape(())), int(zero.reshape(())), 8 * zero.dtype.itemsize)

    def _kernel(self, node: onnx.NodeProto) -> Step:
        out = Codes(node.output[0], self._quantization(node))
        tensor = node.input[0]
        if tensor == self.view.input:
            return InputStep(out)
        if tensor in self.codes:
            return SumStep(out, (self.codes[tensor],), None)
        maker = self.view.producers[tensor]
        if (
            maker.op_type == "Concat"
            and attributes(maker)["axis"] in (1, -3)
            and all(n in self.codes for n in maker.input)
        ):
            return ConcatStep(out, tuple(self.codes[name] for name in maker.input))
        return (
            self._placed(out, maker)
            or read_normalization(maker, self.view, self.codes, out)
            or read_resize(self.view, self.codes, out, tensor, lambda name: self._peel(name, ACTIVATIONS))
            or self._chain(out, tensor)
            or match_table(out, tensor, self.view, self.codes)
            or self._float(out, tensor)
        )

    def _placed(self, out: Codes, node: onnx.NodeProto) -> SelectStep | WindowStep | SpaceToDepthStep | PoolStep | None:
        """Match what leaves codes as they are and gives them other places."""
        source = self.codes.get(node.input[0])
        if source is None or source.quantization != out.quantization:
            return None
        channels = read_selection(node, self.view)
        if channels is not None:
            return SelectStep(out, source, channels)
        window = read_window(node, self.view.constants.get)
        if window is None:
            return read_down(node, out, source)
        return WindowStep(out, source, window, out.quantization.code(window.value))

    def _chain(
        self, out: Codes, tensor: str
    ) -> ConvStep | SumStep | ProductStep | ExtremeStep | GlobalPoolStep | AverageStep | ChannelPoolStep | None:
        """Match Conv -> [activation] -> [Add] -> [Relu | Clip], one operator -> [activation] or activation, from the
        end on.
        """
        after, maker = self._peel(tensor, ACTIVATIONS)
        if after is not None and (alone := self.view.producers[tensor].input[0]) in self.codes:
            return SumStep(out, (self.codes[alone],), after)
        if maker is None or maker.op_type != "Add":
            other = maker and (
                read_pair(maker, self.codes, self.single, out, after)
                or read_pool(maker, self.codes, out, after)
                or read_average(maker, self.codes, out, after)
                or read_channel_pool(maker, self.view, self.codes, out, after)
            )
            return other or self._convolution(out, maker, None, None, after)
        left, right = maker.input
        if left in self.codes and right in self.codes:
            return SumStep(out, (self.codes[left], self.codes[right]), after)
        if after is not None and after.slopes is not None:
            return None
        for inner, residual in ((left, right), (right, left)):
            if residual in self.codes:
                before, conv = self._peel(inner, ACTIVATIONS)
                step = self._convolution(out, conv, before, self.codes[residual], after)
                if step is not None and self._of_one_size(step.source, self.codes[residual]):
                    return step
        return None

    def _of_one_size(self, first: Codes, second: Codes) -> bool:
        """Whether not just one of two tensors has a single pixel."""
        return (first.tensor in self.single) == (second.tensor in self.single)

    def _peel(self, tensor: str, kinds: tuple[str, ...]) -> tuple[Activation | None, onnx.NodeProto | None]:
        node = self.view.producers.get(tensor)
        if node is None or node.op_type not in kinds:
            return None, node
        activation = read_activation(node, self.view)
        return (activation, self.view.producers.get(node.input[0])) if activation else (None, node)

    def _convolution(
        self,
        out: Codes,
        node: onnx.NodeProto | None,
        before: Activation | None,
        residual: Codes | None,
        after: Activation | None,
    ) -> ConvStep | None:
        if node is None or node.op_type not in ("Conv", "ConvTranspose") or node.input[0] not in self.codes:
            return None
        weight_node = self.view.producers.get(node.input[1])
        if weight_node is None or weight_node.op_type != "DequantizeLinear":
            return None
        weight = self.view.constants.get(weight_node.input[0])
        if weight is None or weight.dtype != np.int8 or weight.ndim != 4:
            return None
        source = self.codes[node.input[0]]
        settings = attributes(node)
        transposed = node.op_type == "ConvTranspose"
        outputs = weight.shape[1] * settings.get("group", 1) if transposed else weight.shape[0]
        bias = np.zeros(outputs, np.int32)
        if len(node.input) > 2 and node.input[2]:
            bias = self.view.constants[self.view.producers[node.input[2]].input[0]]
        convolution = Convolution(
            weight=weight,
            bias=bias.astype(np.int32),
            strides=tuple(settings.get("strides", (1, 1))),
            pads=tuple(settings.get("pads", (0, 0, 0, 0))),
            dilations=tuple(settings.get("dilations", (1, 1))),
            group=settings.get("group", 1),
            transposed=transposed,
            output_padding=tuple(settings.get("output_padding", (0, 0))),
        )
        read = source.quantization
        convolution.check(read.zero_point, read.qmax, f"the convolution '{node.output[0]}'")
        # One scale for all, one per channel, or (grouped, transposed) one per channel of a group.
        scale = self.view.constants[weight_node.input[1]].astype(np.float32).reshape(-1)
        scale = np.tile(scale, outputs // len(scale))
        return ConvStep(out, node.output[0], source, convolution, scale, before, residual, after)

    def _shuffle(self, node: onnx.NodeProto) -> ShuffleStep:
        source = self.codes[node.input[0]]
        settings = attributes(node)
        out = Codes(node.output[0], source.quantization)
        self.codes[node.output[0]] = out
        return ShuffleStep(out, source, settings["blocksize"], settings.get("mode", "DCR"))

    def _float(self, out: Codes, tensor: str) -> FloatStep:
        """Cut the float region that ends in ``tensor`` out of the graph as a model of its own."""
        wanted, nodes, sources = [tensor], [], {}
        seen: set[str] = set()
        while wanted:
            name = wanted.pop()
            if not name or name in seen or self.view.is_constant(name):
                continue
            seen.add(name)
            if name in self.codes:
                sources[name] = self.codes[name]
                continue
            maker = self.view.producers.get(name)
            if maker is None:
                raise ModelError(f"the float operators before '{out.tensor}' read '{name}', which is not quantized")
            nodes.append(maker)
            wanted.extend(maker.input)
        order = {id(node): index for index, node in enumerate(self.view.model.graph.node)}
        unique = sorted({id(node): node for node in nodes}.values(), key=lambda node: order[id(node)])
        read = {name for node in unique for name in node.input}
        graph = onnx.helper.make_graph(
            unique,
            "float",
            [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in sources],
            [onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None)],
            [item for item in self.view.model.graph.initializer if item.name in read],
        )
        model = onnx.helper.make_model(graph, opset_imports=self.view.model.opset_import)
        kinds = tuple(node.op_type for node in unique if node.op_type != "DequantizeLinear")
        return FloatStep(out, tuple(sources.items()), evaluator(model), kinds)


def read_selection(node: onnx.NodeProto, view: GraphView) -> tuple[int, ...] | None:
    """Return the channels that ``node`` takes of its input, if that is all it does."""
    indices = view.constants.get(node.input[1]) if node.op_type == "Gather" else None
    if indices is None or indices.ndim != 1 or attributes(node).get("axis", 0) != 1 or (indices < 0).any():
        return None
    return tuple(int(index) for index in indices)


def read_activation(node: onnx.NodeProto, view: GraphView) -> Activation | None:
    """Return the activation that ``node`` is, or None where its parameters are not constant or not per channel."""
    if node.op_type == "Relu":
        return Activation(low=0.0)
    if node.op_type == "LeakyRelu":
        return Activation(slopes=np.full(1, attributes(node).get("alpha", 0.01), np.float32))
    if node.op_type == "PRelu":
        slope = view.constants.get(node.input[1])
        if slope is None or not (slope.size == 1 or (slope.ndim >= 3 and slope.size == slope.shape[-3])):
            return None
        return Activation(slopes=slope.astype(np.float32).reshape(-1))
    if node.op_type == "Clip":
        bounds = []
        for index, default in ((1, -np.inf), (2, np.inf)):
            name = node.input[index] if len(node.input) > index else ""
            if name and name not in view.constants:
                return None
            bounds.append(float(view.constants[name].reshape(())) if name else default)
        return Activation(bounds[0], bounds[1])
    return None
