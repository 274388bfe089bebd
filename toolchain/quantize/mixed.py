"""Tensors of which some channels have 16 bits and the others 8.

In most tensors a few channels carry brightness, or what else the output is made of, and most of the error that 8 bits
make. Low bytes of these alone cost a part of the work of 16 bits. In the graph the convolution before such a tensor
becomes two, one for the fine channels and one for the coarse ones, each with its own activation and quantization, and
a Concat of 16 bits joins them: standard ONNX, and exact in float. The steps of the coarse channels are 256 of the
Concat's, so that joining them changes nothing: all their low bytes are the zero point's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.sites import ConvSite
from toolchain.quantize.weights import QuantizedWeight
from toolchain.reference.graph import Array, GraphView, attributes
from toolchain.reference.program import ACTIVATIONS
from toolchain.reference.quantization import WIDE_BITS, Quantization

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

Finer: TypeAlias = Mapping[str, tuple[int, ...] | None]
"""Tensors of 16 bits, by name, and which of their channels have them; None: all that share their range, whole."""

Weights: TypeAlias = Mapping[str, QuantizedWeight]
Biases: TypeAlias = Mapping[str, NDArray[np.float32]]

WORD = 4
"""Channels that are stored, read and multiplied together: finer codes for one of them cost what they do for all."""
_FINE, _COARSE = "fine", "coarse"


@dataclass(frozen=True)
class MixedSite:
    """A tensor that may have 16 bits in some of its channels.

    Attributes:
        tensor: its name.
        conv: the convolution that makes it.
        activations: what lies between, up to the tensor itself; nothing where the convolution makes it.
        readers: convolutions, and nothing else reads it.
        channels: how many it has.
    """

    tensor: str
    conv: ConvSite
    activations: tuple[str, ...]
    readers: tuple[ConvSite, ...]
    channels: int


def find_mixed_sites(sr: SRModel, plan: QuantizationPlan) -> dict[str, MixedSite]:
    """Return the tensors that may have 16 bits in some channels, by name: made by one convolution and its activation,
    read by convolutions, all without groups, and of a range of their own.
    """
    view = GraphView(sr.model)
    found = {}
    for tensor in plan.points:
        group = plan.group[tensor]
        site = _site(tensor, view, plan)
        alone = group not in plan.pinned and [plan.group[point] for point in plan.points].count(group) == 1
        if alone and site is not None and site.channels > WORD:
            found[tensor] = site
    return found


def _site(tensor: str, view: GraphView, plan: QuantizationPlan) -> MixedSite | None:
    readers = tuple(site for site in plan.convolutions.values() if site.source == tensor)
    if not readers or len(readers) != len(view.consumers.get(tensor, ())):
        return None
    activations: list[str] = []
    name = tensor
    while name not in plan.convolutions:
        node = view.producers.get(name)
        if node is None or node.op_type not in ACTIVATIONS:
            return None
        if view.sole_reader(node.input[0]) != node:
            return None
        activations.insert(0, name)
        name = node.input[0]
    convs = plan.convolutions[name], *readers
    channels = len(view.constants[convs[0].weight])
    if not all(_plain(view.producers[conv.output]) for conv in convs):
        return None
    bends = [view.producers[name] for name in activations if view.producers[name].op_type == "PRelu"]
    if any(view.constants[node.input[1]].size not in (1, channels) for node in bends):
        return None
    return MixedSite(tensor, convs[0], tuple(activations), readers, channels)


def _plain(node: onnx.NodeProto) -> bool:
    """Whether a convolution is one of all channels, pixel by pixel."""
    given = attributes(node)
    return node.op_type == "Conv" and given.get("group", 1) == 1 and set(given.get("strides", [1, 1])) == {1}


def pieces(order: Sequence[int]) -> list[tuple[int, ...]]:
    """Return which channels may get finer codes together: a word of the most important ones, and then as many as have
    gone before, again and again.

    ``order``: channels, the most important one first.
    """
    cuts = [0, WORD]
    while cuts[-1] < len(order):
        cuts.append(2 * cuts[-1])
    return [tuple(sorted(order[first:last])) for first, last in pairwise(cuts)]


def fine_name(name: str) -> str:
    """Return the name of the fine part of a tensor."""
    return f"{name}_{_FINE}"


def whole_name(name: str) -> str:
    """Return the name of the tensor that a coarse part belongs to; a tensor's own name for any other."""
    return name.removesuffix(f"_{_COARSE}")


def fine_quantization(coarse: Quantization) -> Quantization:
    """Return 16 bits of which one code in 256 is one of ``coarse``, of 8."""
    return Quantization(coarse.scale / 256, 257 * coarse.zero_point, WIDE_BITS)


@dataclass(frozen=True)
class _Part:
    """The fine or the coarse channels of a tensor, and what the names of what makes them end in."""

    kind: str
    channels: tuple[int, ...]


@dataclass(frozen=True)
class _Split:
    site: MixedSite
    parts: tuple[_Part, _Part]

    @property
    def order(self) -> list[int]:
        """The tensor's channels as they come to lie."""
        return [channel for part in self.parts for channel in part.channels]


@dataclass(frozen=True, eq=False)
class MixedNetwork:
    """A float network with its mixed tensors' convolutions in two, and those of the one that it was.

    Attributes:
        sr: the network.
        whole: the tensor that each coarse part belongs to, by the part's name.
    """

    sr: SRModel
    whole: Mapping[str, str]
    _splits: tuple[_Split, ...]
    _sources: Mapping[str, str]

    def split(self, weights: Weights, biases: Biases) -> tuple[dict[str, QuantizedWeight], dict[str, Array]]:
        """Return this network's weights and biases for those of the one that it was, by convolution output."""
        found, offsets = {}, {}
        for output, given in weights.items():
            weight = self._reordered(output, given)
            for name, rows in self._rows(output):
                codes = weight.codes[rows]
                found[name] = replace(weight, codes=codes, scale=weight.scale[rows], among=weight.among.used(codes))
                offsets[name] = biases[output][rows]
        return found, offsets

    def joined(self, weights: Weights, biases: Biases) -> tuple[dict[str, QuantizedWeight], dict[str, Array]]:
        """Undo `split`."""
        found, offsets = {}, {}
        for output, source in self._sources.items():
            parts = [(weights[name], biases[name], rows) for name, rows in self._rows(output)]
            weight, bias, _ = parts[0]
            among = weight.among
            if len(parts) > 1:
                place = np.argsort(np.concatenate([np.asarray(rows) for *_, rows in parts]))
                codes, scale = (
                    np.concatenate([getattr(one, name) for one, *_ in parts])[place] for name in ("codes", "scale")
                )
                weight, bias = (
                    replace(weight, codes=codes, scale=scale, among=replace(among, book=among.used(codes).book)),
                    np.concatenate([b for _, b, _ in parts])[place],
                )
            order = self._order(source)
            if order is not None:
                weight = replace(weight, codes=weight.codes[:, np.argsort(order)])
            found[output], offsets[output] = weight, bias
        return found, offsets

    def _rows(self, output: str) -> Iterator[tuple[str, list[int] | slice]]:
        """Yield the convolutions that ``output``'s became, and its channels that each computes."""
        made = next((one for one in self._splits if one.site.conv.output == output), None)
        if made is None:
            yield output, slice(None)
            return
        for part in made.parts:
            yield f"{output}_{part.kind}", list(part.channels)

    def _order(self, source: str) -> list[int] | None:
        return next((one.order for one in self._splits if one.site.tensor == source), None)

    def _reordered(self, output: str, weight: QuantizedWeight) -> QuantizedWeight:
        """Return weights for the source's channels as they lie now."""
        order = self._order(self._sources[output])
        return weight if order is None else replace(weight, codes=weight.codes[:, order])


def split_network(sr: SRModel, plan: QuantizationPlan, fine: Mapping[str, tuple[int, ...]]) -> MixedNetwork:
    """Return the network in which just these channels of some tensors can have finer codes.

    Args:
        sr: the float network.
        plan: of its quantization.
        fine: by tensor, see `find_mixed_sites`.
    """
    sites = find_mixed_sites(sr, plan)
    splits = tuple(_split(sites[tensor], channels) for tensor, channels in fine.items())
    writer = _Writer(sr.model, splits)
    whole = {f"{one.site.tensor}_{_COARSE}": one.site.tensor for one in splits}
    mixed = replace(sr, model=writer.write(), coarse=(*sr.coarse, *whole))
    return MixedNetwork(mixed, whole, splits, {name: site.source for name, site in plan.convolutions.items()})


def _split(site: MixedSite, fine: Sequence[int]) -> _Split:
    others = tuple(channel for channel in range(site.channels) if channel not in fine)
    return _Split(site, (_Part(_FINE, tuple(sorted(fine))), _Part(_COARSE, others)))


class _Writer:
    """Writes a graph with some convolutions in two."""

    def __init__(self, model: onnx.ModelProto, splits: Sequence[_Split]) -> None:
        self.model, self.constants = model, dict(GraphView(model).constants)
        self.chains = {name: one for one in splits for name in (one.site.conv.output, *one.site.activations)}
        self.tensors = {one.site.tensor: one for one in splits}
        self.added: list[onnx.TensorProto] = []

    def write(self) -> onnx.ModelProto:
        nodes: list[onnx.NodeProto] = []
        for original in self.model.graph.node:
            node = onnx.NodeProto.FromString(original.SerializeToString())
            read, made = (self.tensors.get(node.input[0]) if node.input else None), self.chains.get(node.output[0])
            if read is not None:
                weight = self.constants[node.input[1]][:, read.order]
                node.input[1] = self._constant(f"{node.output[0]}_weight", weight)
            if made is None:
                nodes.append(node)
                continue
            nodes += [self._part(node, part, made) for part in made.parts]
            if node.output[0] == made.site.tensor:
                parts = [f"{node.output[0]}_{part.kind}" for part in made.parts]
                nodes.append(helper.make_node("Concat", parts, [node.output[0]], f"{node.name}_joined", axis=1))
        changed = onnx.ModelProto.FromString(self.model.SerializeToString())
        del changed.graph.node[:], changed.graph.value_info[:]
        changed.graph.node.extend(nodes)
        read_names = {name for node in nodes for name in node.input}
        kept = [item for item in (*changed.graph.initializer, *self.added) if item.name in read_names]
        del changed.graph.initializer[:]
        changed.graph.initializer.extend(kept)
        return changed

    def _part(self, node: onnx.NodeProto, part: _Part, made: _Split) -> onnx.NodeProto:
        """Return what computes some channels of what ``node`` does."""
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        output, rows = f"{node.output[0]}_{part.kind}", list(part.channels)
        copy.name, copy.output[0] = f"{node.name}_{part.kind}", output
        names = dict(enumerate(node.input))
        kinds = {1: "slope"}
        if node.output[0] == made.site.conv.output:
            kinds = {1: "weight", 2: "bias"}
        else:
            copy.input[0] = f"{node.input[0]}_{part.kind}"
        for index, kind in kinds.items():
            values = self.constants.get(names.get(index, ""))
            if values is None or values.size == 1:  # a single slope, or a bound
                continue
            values = values.reshape(-1, 1, 1) if kind == "slope" else values
            copy.input[index] = self._constant(f"{output}_{kind}", values[rows])
        return copy

    def _constant(self, name: str, values: Array) -> str:
        self.added.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        self.constants[name] = values
        return name
