"""Balances the channels of inner tensors, so that one quantization step suits them all. Exact in float.

Activations share one scale over all channels, so a channel that spans a tenth of the widest one is rounded ten times as
coarsely, relative to what it carries. A factor on a channel of a convolution's output is undone by the weights that
read it, through Relu, PRelu and LeakyRelu and through Concat (cross-layer equalization: Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", ICCV 2019; here by measured ranges). Where no activation
stands between, the factor may be negative; where besides no reader pads its input, a constant can be moved as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from toolchain.quantize.estimators import make_estimator
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.graph import Array, GraphView, attributes

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

# A channel that hardly moved on the calibration images may move more on others: it is not widened beyond this.
_MOST = 16.0


@dataclass(frozen=True)
class Reader:
    """A convolution that reads a site's channels, the first of them as its input channel ``offset``."""

    output: str
    offset: int


@dataclass(frozen=True)
class Site:
    """A tensor whose channels can be scaled: the convolution that makes it and those that read it.

    ``linear``: nothing but Concat stands between. ``movable``: linear, and no reader pads its input.
    """

    tensor: str
    maker: str
    channels: int
    readers: tuple[Reader, ...]
    linear: bool
    movable: bool


@dataclass(frozen=True)
class ChannelRanges:
    """Real ranges (C,) of a tensor's channels."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def find_sites(sr: SRModel) -> tuple[Site, ...]:
    """Every tensor that can be equalized, in graph order."""
    view = GraphView(sr.model)
    found = (_site(view, node) for node in sr.model.graph.node if node.op_type in ("Conv", "ConvTranspose"))
    return tuple(site for site in found if site is not None)


def measure_channels(
    sr: SRModel, sites: Iterable[Site], crops: Iterable[NDArray[np.uint8]], estimator: str
) -> dict[str, ChannelRanges]:
    """Estimate the range of each channel of each site on ``crops``, u8 (h, w, C), one at a time."""
    collectors = {site.tensor: [make_estimator(estimator) for _ in range(site.channels)] for site in sites}
    model = FloatModel(sr.model, tuple(collectors))
    for crop in crops:
        for name, values in model.run_all(to_float(crop, sr.value_range)).items():
            for channel, collector in enumerate(collectors.get(name, ())):
                collector.observe(values[0, channel])
    results = {name: [one.result() for one in many] for name, many in collectors.items()}
    return {
        name: ChannelRanges(np.array([r.low for r in many]), np.array([r.high for r in many]))
        for name, many in results.items()
    }


def equalize(sr: SRModel, sites: Iterable[Site], ranges: Mapping[str, ChannelRanges]) -> SRModel:
    """The same function with other weights, in which the channels of every site span the same range.

    Values change by float32 rounding only. Tensor names stay; what they hold is scaled.
    """
    model = onnx.ModelProto()
    model.CopyFrom(sr.model)
    view = GraphView(sr.model)
    constants = {name: value.astype(np.float64) for name, value in view.constants.items() if value.dtype == np.float32}
    done = 0
    for site in sites:
        factor, shift = _balance(ranges[site.tensor], site)
        if np.all(factor == 1) and not shift.any():
            continue
        done += 1
        _scale_maker(view.producers[site.maker], constants, factor, shift)
        for reader in site.readers:
            _scale_reader(view.producers[reader.output], constants, reader.offset, factor, shift)
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
    tensor, linear = node.output[0], True
    reader = view.sole_reader(tensor)
    if reader is not None and reader.op_type in ("Relu", "PRelu", "LeakyRelu") and reader.input[0] == tensor:
        tensor, linear = reader.output[0], False
    readers = _readers(view, tensor, 0)
    if not readers:
        return None
    channels = int(weight.shape[0] if node.op_type == "Conv" else weight.shape[1])
    nodes = [view.producers[reader.output] for reader in readers]
    padded = any(n.op_type != "Conv" or any(attributes(n).get("pads", ())) or len(n.input) < 3 for n in nodes)
    return Site(tensor, node.output[0], channels, readers, linear, linear and not padded)


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
    """Number of channels, where a convolution (and an activation) or the input tells."""
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


def _balance(ranges: ChannelRanges, site: Site) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors and shifts (C,): a channel becomes ``factor * (value - shift)`` and spans about [-1, 1] or [0, 1]."""
    shift = (ranges.low + ranges.high) / 2 if site.movable else np.zeros(site.channels)
    low, high = ranges.low - shift, ranges.high - shift
    reach = np.maximum(np.abs(low), np.abs(high))
    widest = float(reach.max(initial=0.0))
    if widest == 0:
        return np.ones(site.channels), np.zeros(site.channels)
    factor = 1 / np.maximum(reach, widest / _MOST)
    if site.linear and not site.movable:
        # All channels lean to the same side: together they then leave more of the other side unused.
        factor = np.where(-low > high, -factor, factor)
    return factor, shift


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
