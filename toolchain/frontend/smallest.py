"""The smallest picture of which every layer of a network has something left: without padding, convolutions and pooling
take rows and columns away, and what goes down may have none left.

Sizes are followed through the graph by each operator's own arithmetic, rows and columns apart.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from toolchain.frontend.fixed_point import read_sized
from toolchain.frontend.graph import attributes
from toolchain.frontend.halo import ALONG_CHANNELS, POINTWISE
from toolchain.frontend.unit import unit_of
from toolchain.frontend.window import read_window

LARGEST = 4096
"""The largest side that is thought of."""

_KEEPS = POINTWISE | {
    "QuantizeLinear",
    "DequantizeLinear",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Transpose",
    "Max",
}


def smallest_picture(model: onnx.ModelProto) -> tuple[int, int]:
    """Return the height and width, in pixels, of the smallest picture that a network takes.

    What has a side that cannot be told (a reshaped tensor's) demands nothing.

    Args:
        model: normalized, or canonical QDQ; its pictures are extended to multiples of its unit.
    """
    return _smallest(model, _fits)


def smallest_to_mirror(model: onnx.ModelProto) -> tuple[int, int]:
    """Return the height and width, in pixels, of the smallest picture that onnxruntime takes too: it does not mirror a
    tensor that has no more rows or columns than are added, as NumPy and our kernels do, again and again.

    Args:
        model: as of `smallest_picture`.
    """
    return _smallest(model, _mirrors)


def _smallest(model: onnx.ModelProto, fits: Callable[[_View, int, int], bool]) -> tuple[int, int]:
    view, unit = _View(model), unit_of(model)
    counts = range(1, LARGEST // unit + 1)
    height, width = (
        bisect.bisect_left(counts, True, key=lambda count: fits(view, axis, count * unit)) * unit + 1 for axis in (0, 1)
    )
    return height, width


class _View:
    """A graph's nodes, what makes each tensor, and its constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.input = model.graph.input[0].name
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        # Of weights only the shape is wanted.
        self.constants: Mapping[str, NDArray[Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if len(tensor.dims) < 2
        }

    def kernel(self, node: onnx.NodeProto, axis: int) -> int | None:
        """Return rows or columns of a node's kernel, of one whose weight may be quantized."""
        said = attributes(node).get("kernel_shape")
        if said is not None:
            return int(said[axis])
        name = node.input[1] if len(node.input) > 1 else ""
        while name not in self.shapes and name in self.makers:
            name = self.makers[name].input[0]
        shape = self.shapes.get(name, ())
        return shape[2 + axis] if len(shape) == 4 else None


def _fits(view: _View, axis: int, side: int) -> bool:
    """Whether something is left of every tensor for a picture of ``side`` rows (axis 0) or columns (1)."""
    return _sides(view, axis, side) is not None


def _mirrors(view: _View, axis: int, side: int) -> bool:
    """Whether it is, and tensors that are mirrored at their borders have more of them than are added."""
    sides = _sides(view, axis, side)
    if sides is None:
        return False
    for node in view.nodes:
        window = read_window(node, view.constants.get) if node.op_type == "Pad" and node.input[0] in sides else None
        if window is not None and window.mode == "reflect":
            first, last = window.pads[axis], window.pads[2 + axis]
            if sides[node.input[0]] + min(first, 0) + min(last, 0) <= max(first, last):
                return False
    return True


def _sides(view: _View, axis: int, side: int) -> Mapping[str, int] | None:
    """Return the sides of tensors, as far as they can be told; None where nothing is left of one."""
    sides = {view.input: side}
    for node in view.nodes:
        given = [sides[name] for name in node.input if name in sides]
        # A tensor of a single row or column is repeated to the other's.
        found = _side(view, node, axis, max(given), sides) if given else None
        if found is not None and found < 1:
            return None
        if found is not None:
            sides.update(dict.fromkeys(filter(None, node.output), found))
    return sides


def _side(view: _View, node: onnx.NodeProto, axis: int, side: int, sides: Mapping[str, int]) -> int | None:
    """Return the side of a node's result; ``side``: the largest of what it reads. None where it cannot be told."""
    op, values = node.op_type, attributes(node)
    if op in _KEEPS:
        return side
    if op in ("Pad", "Slice"):
        return _window_side(view, node, axis, side)
    if op in ALONG_CHANNELS:
        return side if values.get("axis", ALONG_CHANNELS[op]) in (1, -3) else None
    if op.startswith("Reduce"):
        given = view.constants.get(node.input[1]) if len(node.input) > 1 else None
        axes = values.get("axes", [] if given is None else given.ravel().tolist())
        if not values.get("keepdims", 1):
            return None
        return 1 if not axes or {2 + axis, axis - 2} & set(axes) else side
    if op == "Resize":
        return _resized(view, node, axis, side, sides)
    rule = _RULES.get(op)
    return rule(view, node, axis, side) if rule else None


def _down(view: _View, node: onnx.NodeProto, axis: int, side: int) -> int | None:
    """Convolution and pooling."""
    values, kernel = attributes(node), view.kernel(node, axis)
    if kernel is None:
        return None
    stride = int(values.get("strides", [1, 1])[axis])
    reach = int(values.get("dilations", [1, 1])[axis]) * (kernel - 1)
    place = values.get("auto_pad", "NOTSET")
    if place.startswith("SAME"):
        return -(-side // stride)
    pads = values.get("pads", [0] * 4) if place == "NOTSET" else [0] * 4
    before, behind = int(pads[axis]), int(pads[2 + axis])
    left = side + before + behind - reach - 1
    if not values.get("ceil_mode", 0):
        return left // stride + 1
    count = -(-left // stride) + 1
    # A window that begins behind the picture does not count.
    return count - ((count - 1) * stride >= side + before)


def _up(view: _View, node: onnx.NodeProto, axis: int, side: int) -> int | None:
    """Transposed convolution."""
    values, kernel = attributes(node), view.kernel(node, axis)
    if kernel is None or "output_shape" in values or values.get("auto_pad", "NOTSET") != "NOTSET":
        return None
    stride = int(values.get("strides", [1, 1])[axis])
    reach = int(values.get("dilations", [1, 1])[axis]) * (kernel - 1)
    pads, further = values.get("pads", [0] * 4), values.get("output_padding", [0, 0])[axis]
    return int((side - 1) * stride + reach + 1 - pads[axis] - pads[2 + axis] + further)


def _window_side(view: _View, node: onnx.NodeProto, axis: int, side: int) -> int | None:
    """Pixels cut off, and added to what is left."""
    window = read_window(node, view.constants.get)
    if window is None:
        axes = view.constants.get(node.input[3]) if node.op_type == "Slice" and len(node.input) > 3 else None
        return side if axes is not None and set(axes.ravel().tolist()) <= {0, 1, -4, -3} else None
    first, last = window.pads[axis], window.pads[2 + axis]
    kept = side + min(first, 0) + min(last, 0)
    return kept if kept < 1 else kept + max(first, 0) + max(last, 0)


def _resized(view: _View, node: onnx.NodeProto, axis: int, side: int, sides: Mapping[str, int]) -> int | None:
    """Interpolation, by a factor or to the size of another tensor."""
    sized = read_sized(node, view.makers, view.constants)
    if sized is not None:
        return sides[sized[1]] * sized[0].picture if sized[1] in sides else None
    scales = view.constants.get(node.input[2]) if len(node.input) > 2 else None
    if scales is None or scales.size != 4:
        return None
    return int(np.floor(side * float(scales[2 + axis])))


def _squares(_view: _View, node: onnx.NodeProto, _axis: int, side: int) -> int:
    return side // int(attributes(node)["blocksize"])


def _shuffled(_view: _View, node: onnx.NodeProto, _axis: int, side: int) -> int:
    return side * int(attributes(node)["blocksize"])


def _single(_view: _View, _node: onnx.NodeProto, _axis: int, _side: int) -> int:
    return 1


_RULES: Mapping[str, Callable[[_View, onnx.NodeProto, int, int], int | None]] = {
    **dict.fromkeys(("Conv", "MaxPool", "AveragePool", "LpPool"), _down),
    "ConvTranspose": _up,
    "SpaceToDepth": _squares,
    "DepthToSpace": _shuffled,
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), _single),
}
