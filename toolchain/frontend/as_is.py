"""Models that onnxruntime runs as they came: quantized ones, and those that cannot be normalized."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend import value_range as ranges
from toolchain.frontend.graph import Array
from toolchain.frontend.interface import read_interface
from toolchain.frontend.session import FloatSession
from toolchain.frontend.source import NUMBERS
from toolchain.frontend.value_range import BYTES, Ends
from toolchain.images.scale import plain
from toolchain.support.errors import ModelError

_SIDE = 24
_FINEST = 4
"""The largest denominator of a scale that is compared with."""


class AsIs:
    """A model from pictures to pictures, whatever its layout, its numbers and their range.

    Attributes:
        channels: 1 or 3.
        scale: output pixels per input pixel and direction.
        ends: black and white at either end.
    """

    def __init__(self, model: onnx.ModelProto, *, value_range: str | None = None, threads: int | None = None) -> None:
        """Load ``model`` and find out what it does.

        Args:
            model: from `load_model`; not changed.
            value_range: as `normalize` takes it; None to find it out.
            threads: to use; None for all.

        Raises:
            ModelError: onnxruntime does not run it, it takes pictures of one size only, is no picture-to-picture
                network, or the range cannot be told.
        """
        model = _unsigned(model)
        self._interface = interface = read_interface(model)
        if any(interface.declared):
            size = "x".join(str(side or "?") for side in interface.declared)
            raise ModelError(f"the model takes pictures of {size} only", hint="export it with free height and width")
        self.channels = interface.channels
        self._session = FloatSession(model, threads=threads)
        self._number = NUMBERS.get(self._session.dtype, np.float32)
        self.scale = self._scale()
        self.ends = self._ends(value_range)

    def run(self, pixels: Array) -> Array:
        """Return what it makes of a picture u8 (h, w, C): u8 (h*scale, w*scale, C), saturated and rounded.

        Raises:
            ModelError: it cannot be executed.
        """
        (low, high), (black, white) = self.ends.input, self.ends.output
        planes = pixels.transpose(2, 0, 1)[None].astype(np.float32)
        result = self._planes(planes * np.float32((high - low) / 255) + np.float32(low))
        codes = np.rint((result[0] - np.float32(black)) * np.float32(255 / (white - black)))
        return np.ascontiguousarray(np.clip(codes, 0, 255).astype(np.uint8).transpose(1, 2, 0))

    def _planes(self, planes: Array) -> Array:
        """Return float32 (1, C, h*scale, w*scale) for (1, C, h, w), both in the model's own range."""
        interface = self._interface
        given = planes.transpose(0, 2, 3, 1) if interface.channels_last else planes
        given = np.rint(given) if interface.integer_input else given
        batch = np.repeat(given.astype(self._number), interface.batch, axis=0)
        result = np.asarray(self._session.run(None, batch)[0][:1], np.float32)
        if result.ndim == 4 and result.shape[1] != self.channels and result.shape[3] == self.channels:
            result = result.transpose(0, 3, 1, 2)
        return result

    def _scale(self) -> int | Fraction:
        shape = self._planes(np.zeros((1, self.channels, _SIDE, _SIDE), np.float32)).shape
        scale = Fraction(shape[2], _SIDE) if len(shape) == 4 else Fraction(0)
        if not scale or scale.denominator > _FINEST or shape != (1, self.channels, scale * _SIDE, scale * _SIDE):
            raise ModelError(
                f"the model makes {shape} of an input of (1, {self.channels}, {_SIDE}, {_SIDE})",
                hint="only networks that keep the channels and enlarge by a number such as 2 or 3/2 compare",
            )
        return plain(scale)

    def _ends(self, value_range: str | None) -> Ends:
        ends, interface = Ends(BYTES, BYTES), self._interface
        if not (interface.integer_input and interface.integer_output):
            likely = "0..1" if interface.integer_input or interface.integer_output else None
            errors = ranges.follow(self._planes, self.channels, self.scale)
            ends = ranges.choose(value_range, None, None, errors, likely)
        return Ends(
            BYTES if interface.integer_input else ends.input, BYTES if interface.integer_output else ends.output
        )


def _unsigned(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with bytes from 0 on at its ends, in place of int8, whose -128 is black."""
    ends = [*model.graph.input[:1], *model.graph.output[:1]]
    if all(end.type.tensor_type.elem_type != TensorProto.INT8 for end in ends):
        return model
    result = onnx.ModelProto.FromString(model.SerializeToString())
    graph = result.graph
    half = numpy_helper.from_array(np.asarray(128, np.int32), "half_of_bytes")
    graph.initializer.append(half)
    nodes = list(graph.node)
    for end, comes in ((graph.input[0], True), (graph.output[0], False)):
        if end.type.tensor_type.elem_type != TensorProto.INT8:
            continue
        name, inner = end.name, f"{end.name}_signed"
        for node in nodes:
            names = node.input if comes else node.output
            names[:] = [inner if name == given else given for given in names]
            if not comes:
                node.input[:] = [inner if name == given else given for given in node.input]
        given, made, kind = (name, inner, "Sub") if comes else (inner, name, "Add")
        wide, moved = f"{name}_wide", f"{name}_moved"
        steps = [
            helper.make_node("Cast", [given], [wide], name=wide, to=TensorProto.INT32),
            helper.make_node(kind, [wide, half.name], [moved], name=moved),
            helper.make_node("Cast", [moved], [made], name=made, to=TensorProto.INT8 if comes else TensorProto.UINT8),
        ]
        nodes = [*steps, *nodes] if comes else [*nodes, *steps]
        end.type.tensor_type.elem_type = TensorProto.UINT8
    del graph.node[:]
    graph.node.extend(nodes)
    return result
