"""Balances the channels of inner tensors, so that one quantization step suits them all. Exact in float.

Activations share one scale over all channels, and tensors that are concatenated share it too, so a channel that spans a
tenth of the widest one is rounded ten times as coarsely, relative to what it carries. A factor on a channel of a
convolution's output is undone by the weights that read it, through Relu, PRelu and LeakyRelu and through Concat
(cross-layer equalization: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
2019; here by measured ranges). Where no activation stands between, the factor may be negative; where besides no reader
pads its input, a constant can be moved as well. Through a PRelu of slope a > 0 the factor may be negative too: what was
below zero then lies above, and -x through a slope of 1 / a is -1 / a times x through a slope of a.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from toolchain.quantize.estimators import Range
from toolchain.quantize.observe import Wanted, observe
from toolchain.quantize.plan import QuantizationPlan
from toolchain.reference.graph import Array, GraphView, attributes
from toolchain.support.progress import Tell, untold

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

# Limits to ``widening``.
_LEAST_WIDENING, _MOST_WIDENING = 2.0, 4.0
_TINY = 1e-6
# The part of the codes that a channel spans, whatever the limit, if it carries as much as others do on average: the
# rest is room for other pictures.
_LEAST_SPAN = 1 / 4
# Slopes of PRelus that can be turned around: those of the turned ones are their inverses.
_LEAST_SLOPE = 1 / 64
# The part of the codes that is left to what lies below zero.
_DIVISIONS = (0.0, *np.linspace(0.02, 0.98, 49))


@dataclass(frozen=True)
class Reader:
    """A convolution that reads a site's channels, the first of them as its input channel ``offset``."""

    output: str
    offset: int


@dataclass(frozen=True)
class Site:
    """A tensor whose channels can be scaled: the convolution that makes it and those that read it.

    ``linear``: nothing but Concat stands between. ``movable``: linear, and no reader pads its input. ``slopes``: the
    constant (C, 1, 1) of the PRelu that makes the tensor, which no other node reads; empty where there is none.
    """

    tensor: str
    maker: str
    channels: int
    readers: tuple[Reader, ...]
    linear: bool
    movable: bool
    slopes: str = ""


@dataclass(frozen=True)
class Together:
    """Sites whose tensors share one range, and the tensors of that range whose channels stay as they are."""

    sites: tuple[Site, ...]
    fixed: tuple[str, ...]


@dataclass(frozen=True)
class ChannelRanges:
    """Real ranges (C,) of a tensor's channels; they hold 0 unless it lies further off than they are wide."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def find_sites(sr: SRModel) -> tuple[Site, ...]:
    """Return every tensor that can be equalized, in graph order."""
    view = GraphView(sr.model)
    found = (_site(view, node) for node in sr.model.graph.node if node.op_type in ("Conv", "ConvTranspose"))
    return tuple(site for site in found if site is not None)


def share_ranges(sr: SRModel, plan: QuantizationPlan, sites: Iterable[Site]) -> tuple[Together, ...]:
    """Return the sites by the range that ``plan`` gives their tensors, in graph order; those of pixels are left out."""
    view = GraphView(sr.model)
    groups: dict[str, list[Site]] = {}
    for site in sites:
        if plan.group[site.tensor] not in plan.pinned:
            groups.setdefault(plan.group[site.tensor], []).append(site)
    found = []
    for group, members in groups.items():
        held: dict[str, None] = {}
        for name in plan.points:
            if plan.group[name] == group:
                node = view.producers[name]
                # A Concat holds what it joins, pixels included, which keep a range of their own besides.
                held |= dict.fromkeys(node.input if node.op_type == "Concat" else [name])
        found.append(Together(tuple(members), tuple(held.keys() - {site.tensor for site in members})))
    return tuple(found)


def measure_channels(
    sr: SRModel,
    groups: Iterable[Together],
    crops: Sequence[NDArray[np.uint8]],
    estimator: str,
    *,
    progress: Tell = untold,
) -> dict[str, ChannelRanges]:
    """Estimate, on ``crops``, u8 (h, w, C), the range of each channel of each site, and of each fixed tensor as one."""
    wanted: dict[str, Wanted] = {}
    for group in groups:
        wanted |= {site.tensor: Wanted((site.tensor,), estimator, site.channels) for site in group.sites}
        wanted |= {name: Wanted((name,), estimator) for name in group.fixed}
    found = observe(sr, wanted, crops, progress)
    results = {name: [_without_offset(one.result()) for one in many] for name, many in found.items()}
    return {name: ChannelRanges(*np.array(ends, np.float64).T) for name, ends in results.items()}


def _without_offset(found: Range) -> tuple[float, float]:
    """Return the ends of a range that holds 0, or as much room as what was seen is wide, where 0 lies beyond that."""
    low, high = max(found.low, found.seen_low), min(found.high, found.seen_high)
    return max(found.low, low - (high - low)), min(found.high, high + (high - low))


def widening(photographs: int) -> float:
    """By how much a channel may be widened against the others, by the number of photographs it was measured on.

    A channel that hardly moved on them may move more on others. On XLSR a limit of 4 gains 0.01 dB over one of 2 with
    14 photographs; with three it makes up to 2.5 times the error on others, and one of 16 loses 0.4 dB.
    """
    return float(np.clip(np.sqrt(photographs), _LEAST_WIDENING, _MOST_WIDENING))


def equalize(sr: SRModel, groups: Iterable[Together], ranges: Mapping[str, ChannelRanges], most: float) -> SRModel:
    """Return the same function with other weights, in which the channels of every site span the same range.

    No channel is widened by more than ``most`` times what the least widened one is, unless it spans too few codes for
    what it carries.

    Values change by float32 rounding only. Tensor names stay; what they hold is scaled.
    """
    model = onnx.ModelProto()
    model.CopyFrom(sr.model)
    view = GraphView(sr.model)
    constants = {name: value.astype(np.float64) for name, value in view.constants.items() if value.dtype == np.float32}
    done = 0
    for group in groups:
        for site, made in zip(group.sites, _balance(group, ranges, view, most), strict=True):
            if np.all(made.factor == 1) and not made.shift.any():
                continue
            done += 1
            factor = made.factor
            if site.slopes:
                turned = factor < 0
                slopes = constants[site.slopes].reshape(-1)
                factor = np.where(turned, factor * slopes, factor)
                inverse = np.divide(1.0, slopes, out=slopes.copy(), where=turned)
                constants[site.slopes] = inverse.reshape(constants[site.slopes].shape)
            _scale_maker(view.producers[site.maker], constants, factor, made.shift)
            for reader in site.readers:
                _scale_reader(view.producers[reader.output], constants, reader.offset, made.factor, made.shift)
    for tensor in model.graph.initializer:
        if tensor.name in constants:
            tensor.CopyFrom(numpy_helper.from_array(constants[tensor.name].astype(np.float32), tensor.name))
    changes = (*sr.changes, f"balanced the channels of {done} inner tensors") if done else sr.changes
    return replace(sr, model=model, changes=changes)


def _site(view: GraphView, node: onnx.NodeProto) -> Site | None:
    if not _own_constants(view, node) or len(node.input) < 3:
        return None
    weight = view.constants[node.input[1]]
    group = attributes(node).get("group", 1)
    if node.op_type == "ConvTranspose" and group != 1:
        return None
    tensor, linear, slopes = node.output[0], True, ""
    reader = view.sole_reader(tensor)
    if reader is not None and reader.op_type in ("Relu", "PRelu", "LeakyRelu") and reader.input[0] == tensor:
        tensor, linear = reader.output[0], False
        if reader.op_type == "PRelu" and _own_constants(view, reader):
            slopes = reader.input[1]
    readers = _readers(view, tensor, 0)
    if not readers:
        return None
    channels = int(weight.shape[0] if node.op_type == "Conv" else weight.shape[1])
    nodes = [view.producers[reader.output] for reader in readers]
    padded = any(n.op_type != "Conv" or any(attributes(n).get("pads", ())) or len(n.input) < 3 for n in nodes)
    if slopes and view.constants[slopes].size != channels:
        slopes = ""
    return Site(tensor, node.output[0], channels, readers, linear, linear and not padded, slopes)


def _own_constants(view: GraphView, node: onnx.NodeProto) -> bool:
    """Whether the weights and bias are constants that no other node reads."""
    return all(view.is_constant(name) and len(view.consumers[name]) == 1 for name in node.input[1:] if name)


def _readers(view: GraphView, tensor: str, offset: int) -> tuple[Reader, ...]:
    """All convolutions that read ``tensor``, through Concat; empty where anything else does."""
    if tensor == view.output:
        return ()
    found: list[Reader] = []
    for node in view.consumers.get(tensor, ()):
        if node.op_type in ("Conv", "ConvTranspose") and node.input[0] == tensor and _own_constants(view, node):
            found.append(Reader(node.output[0], offset))
            continue
        if node.op_type != "Concat" or attributes(node)["axis"] not in (1, -3):
            return ()
        place = offset
        for name in node.input:
            width = _width(view, name)
            if name == tensor:
                inner = _readers(view, node.output[0], place)
                if not inner:
                    return ()
                found.extend(inner)
            if width is None:
                return ()
            place += width
    return tuple(found)


def _width(view: GraphView, tensor: str) -> int | None:
    """Return the number of channels, where a convolution (and an activation) or the input tells."""
    node = view.producers.get(tensor)
    if node is None:
        return int(view.model.graph.input[0].type.tensor_type.shape.dim[1].dim_value) if tensor == view.input else None
    if node.op_type in ("Relu", "PRelu", "LeakyRelu", "Clip"):
        return _width(view, node.input[0])
    if node.op_type in ("Conv", "ConvTranspose") and view.is_constant(node.input[1]):
        shape = view.constants[node.input[1]].shape
        return int(shape[0] if node.op_type == "Conv" else shape[1] * attributes(node).get("group", 1))
    if node.op_type == "Concat":
        widths = [_width(view, name) for name in node.input]
        return None if None in widths else sum(width for width in widths if width is not None)
    return None


@dataclass(frozen=True)
class _Balance:
    """What is done to a site: a channel becomes ``factor * (value - shift)``; both (C,)."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True)
class _Channels:
    """What counts of the channels of one or several sites; arrays (C,).

    Attributes:
        low, high: how far they reach below and above zero, once they are shifted.
        gain: squares of the weights that read them, summed up.
        free: whether they may change sign.
        shift: what is taken off them.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    gain: NDArray[np.float64]
    free: NDArray[np.bool_]
    shift: NDArray[np.float64]

    @classmethod
    def of_site(cls, site: Site, found: ChannelRanges, view: GraphView) -> _Channels:
        """Return those of one site, whose ranges were found."""
        shift = (found.low + found.high) / 2 if site.movable else np.zeros(site.channels)
        gain = np.zeros(site.channels)
        for reader in site.readers:
            gain += _power(view.producers[reader.output], view)[reader.offset : reader.offset + site.channels]
        low, high = np.maximum(shift - found.low, 0.0), np.maximum(found.high - shift, 0.0)
        free = np.full(site.channels, site.linear)
        if site.slopes:
            free = view.constants[site.slopes].reshape(-1) >= _LEAST_SLOPE
        return cls(low, high, gain, free, shift)

    @classmethod
    def joined(cls, parts: Sequence[_Channels]) -> _Channels:
        """Return those of several sites, one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def factors(self, part: float, widest: float) -> NDArray[np.float64]:
        """Return the largest factors at which every channel fits, where ``part`` of the codes lie below zero; negative
        where a channel that may change sign fits better so.
        """
        plain = np.minimum(_fit(1 - part, self.high, widest), _fit(part, self.low, widest))
        turned = np.minimum(_fit(1 - part, self.low, widest), _fit(part, self.high, widest))
        return np.where(self.free & (turned > plain), -turned, plain)


def _balance(group: Together, ranges: Mapping[str, ChannelRanges], view: GraphView, most: float) -> list[_Balance]:
    """Balance sites that share a range, which then has width 1, or the one that the fixed tensors want.

    A channel's rounding error weighs as much as the weights that read it, and what it carries is its reach times those;
    fixed tensors carry as much as the sites. Every channel is made as wide as fits on both sides of zero; how the 255
    codes are best divided between the sides is searched.
    """
    sites = group.sites
    channels = _Channels.joined([_Channels.of_site(site, ranges[site.tensor], view) for site in sites])
    reach = np.maximum(channels.low, channels.high)
    widest = float(reach.max(initial=0.0))
    if widest == 0:
        return [_Balance(np.ones(site.channels), np.zeros(site.channels)) for site in sites]
    below = np.array([max((-float(ranges[name].low[0]) for name in group.fixed), default=0.0)])
    above = np.array([max((float(ranges[name].high[0]) for name in group.fixed), default=0.0)])
    carried = channels.gain * reach**2
    needed = np.minimum(_LEAST_SPAN * np.sqrt(carried / carried.mean()), 1.0) if carried.any() else np.zeros(len(reach))
    best, least = np.ones(len(reach)), np.inf
    for part in _DIVISIONS:
        factor = channels.factors(part, widest)
        kept = float(np.minimum(_fit(1 - part, above, 0.0), _fit(part, below, 0.0))[0])
        smallest = min(float(np.abs(factor).min()), kept)
        if smallest <= 0:
            continue
        room = np.multiply(np.abs(factor), needed, out=np.zeros(len(reach)), where=np.isfinite(factor))
        factor = np.sign(factor) * np.minimum(np.abs(factor), np.maximum(most * smallest, room))
        loss = float((channels.gain / factor**2).sum())
        if np.isfinite(kept):
            loss += float(carried.sum()) / (kept * max(below[0], above[0])) ** 2
            factor /= kept
        if loss < least:
            best, least = factor, loss
    ends = np.cumsum([site.channels for site in sites])[:-1]
    return [_Balance(*pair) for pair in zip(np.split(best, ends), np.split(channels.shift, ends), strict=True)]


def _fit(part: float, reach: NDArray[np.float64], widest: float) -> NDArray[np.float64]:
    """Return the factors that bring ``reach`` to ``part``; endless where there is nothing to bring."""
    endless = np.full(reach.shape, np.inf)
    factors: NDArray[np.float64] = np.divide(part, reach, out=endless, where=reach > widest * _TINY)
    return factors


def _power(node: onnx.NodeProto, view: GraphView) -> NDArray[np.float64]:
    """Squares of a convolution's weights, summed up by the input channel that they read."""
    weight = view.constants[node.input[1]].astype(np.float64)
    if node.op_type == "ConvTranspose":
        return np.asarray((weight**2).sum(axis=(1, 2, 3)))
    split = weight.reshape(attributes(node).get("group", 1), -1, *weight.shape[1:])
    return np.asarray((split**2).sum(axis=(1, 3, 4)).reshape(-1))


def _scale_maker(
    node: onnx.NodeProto, constants: dict[str, Array], factor: NDArray[np.float64], shift: NDArray[np.float64]
) -> None:
    axis = 0 if node.op_type == "Conv" else 1
    shape = [-1 if index == axis else 1 for index in range(4)]
    constants[node.input[1]] = constants[node.input[1]] * factor.reshape(shape)
    constants[node.input[2]] = (constants[node.input[2]] - shift) * factor


def _scale_reader(
    node: onnx.NodeProto,
    constants: dict[str, Array],
    offset: int,
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> None:
    weight = constants[node.input[1]].copy()
    group = attributes(node).get("group", 1)
    for channel, (scale, constant) in enumerate(zip(factor, shift, strict=True)):
        place = offset + channel
        if node.op_type == "ConvTranspose":
            weight[place] /= scale
            continue
        inputs, outputs = weight.shape[1], weight.shape[0] // group
        rows = slice(place // inputs * outputs, (place // inputs + 1) * outputs)
        if constant:
            bias = constants[node.input[2]].copy()
            bias[rows] += weight[rows, place % inputs].sum(axis=(1, 2)) * constant
            constants[node.input[2]] = bias
        weight[rows, place % inputs] /= scale
    constants[node.input[1]] = weight
