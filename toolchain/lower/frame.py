"""A border that is added to the picture first, and what is cut off the result at last: around the network, not in it.

What lies between has the size of the larger picture: it is lowered as a network of its own, for pictures of any size,
and streams like one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from tvm import relax, tirx
from tvm.ir import IRModule

from toolchain.frontend.window import Window, read_window
from toolchain.kernels.window import crop_pixels, pad_pixels
from toolchain.lower.lowered import Frame, Lowered, Spec
from toolchain.lower.rewriting import emitted
from toolchain.reference.graph import GraphView

_EXACT = 1e-4
"""How near a float border's color must be to a pixel's code."""


def take_frame(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Frame | None]:
    """Return what a canonical QDQ model does between its first border and its last cut, as a model of its own, and
    these two; the model itself and None where it has none.
    """
    view = GraphView(model)
    border, cut = _border(view), _cut(view)
    if cut is None and (border is None or border.window.mode == "constant"):  # a constant border streams by itself
        return model, None
    return _without(model, border, cut)


def take_float_frame(model: onnx.ModelProto, white: float) -> tuple[onnx.ModelProto, Frame | None]:
    """Return the same of a normalized float model; ``white``: its number for a pixel of 255, 0 is black."""
    view = GraphView(model)
    border, cut = _float_border(view, white), _float_cut(view)
    return (model, None) if border is None and cut is None else _without(model, border, cut)


@dataclass(frozen=True)
class _Moved:
    """Nodes that only move pixels, from the tensor ``start`` to ``result``; ``gone`` are the results of all of them."""

    start: str
    gone: tuple[str, ...]
    result: str
    window: Window
    fill: int = 0


def _without(model: onnx.ModelProto, border: _Moved | None, cut: _Moved | None) -> tuple[onnx.ModelProto, Frame]:
    """Return ``model`` without what is added to its input and cut off its output, and what that is."""
    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    gone: set[str] = set()
    if border is not None:
        gone |= set(border.gone)
        for node in inner.graph.node:
            for place, name in enumerate(node.input):
                if name == border.result:
                    node.input[place] = border.start
    if cut is not None:
        gone |= set(cut.gone)
        inner.graph.output[0].name = cut.start
    kept = [node for node in inner.graph.node if node.output[0] not in gone]
    del inner.graph.node[:]
    inner.graph.node.extend(kept)
    added = Window((0, 0, 0, 0)) if border is None else border.window
    pads = (0, 0, 0, 0) if cut is None else cut.window.pads
    return inner, Frame(added, 0 if border is None else border.fill, (-pads[0], -pads[1], -pads[2], -pads[3]))


def _float_border(view: GraphView, white: float) -> _Moved | None:
    """Return what is added to the input of a float model, if nothing else reads it and its color is a pixel's."""
    pad = view.sole_reader(view.input)
    if pad is None or pad.op_type != "Pad":
        return None
    window = read_window(pad, view.constants.get)
    if window is None or not window.grows or pad.output[0] == view.output:
        return None
    fill = window.value * 255.0 / white if window.mode == "constant" else 0.0
    if not 0 <= fill <= 255 or abs(fill - round(fill)) > _EXACT:
        return None
    return _Moved(view.input, (pad.output[0],), pad.output[0], window, round(fill))


def _float_cut(view: GraphView) -> _Moved | None:
    """Return what is cut off the output of a float model."""
    crop = view.producers.get(view.output)
    if crop is None or crop.op_type != "Slice":
        return None
    whole, window = crop.input[0], read_window(crop, view.constants.get)
    if window is None or max(window.pads) > 0 or whole not in view.producers or view.sole_reader(whole) is None:
        return None
    return _Moved(whole, (view.output,), view.output, window)


def _border(view: GraphView) -> _Moved | None:
    """Return what is added to the input, if nothing else reads it."""
    codes = view.sole_reader(view.input)
    reals = view.sole_reader(codes.output[0]) if codes is not None and codes.op_type == "QuantizeLinear" else None
    if codes is None or reals is None or reals.op_type != "DequantizeLinear":
        return None
    pad = view.sole_reader(reals.output[0])
    window = read_window(pad, view.constants.get) if pad is not None and pad.op_type == "Pad" else None
    if pad is None or window is None or not window.grows:
        return None
    again = view.sole_reader(pad.output[0])
    last = view.sole_reader(again.output[0]) if again is not None and _alike(view, again, codes) else None
    if again is None or last is None or not _alike(view, last, codes):
        return None
    scale, zero = (view.constants[name] for name in codes.input[1:3])
    fill = int(np.clip(np.rint(window.value / float(scale)) + int(zero), 0, 255))
    gone = (reals.output[0], pad.output[0], again.output[0])
    return _Moved(codes.output[0], gone, again.output[0], window, fill)


def _cut(view: GraphView) -> _Moved | None:
    """Return what is cut off the output."""
    last = view.producers.get(view.output)
    again = view.producers.get(last.input[0]) if last is not None and last.op_type == "DequantizeLinear" else None
    crop = view.producers.get(again.input[0]) if again is not None and again.op_type == "QuantizeLinear" else None
    window = read_window(crop, view.constants.get) if crop is not None and crop.op_type == "Slice" else None
    if last is None or again is None or crop is None or window is None or max(window.pads) > 0:
        return None
    reals = view.producers.get(crop.input[0])
    if reals is None or reals.op_type != "DequantizeLinear" or not _alike(view, reals, last):
        return None
    gone, start = [last.output[0], again.output[0], crop.output[0]], reals.output[0]
    if view.sole_reader(start) is not crop:
        return None
    codes = view.producers.get(reals.input[0])
    shuffle = view.producers.get(codes.input[0]) if codes is not None and _alike(view, codes, last) else None
    if codes is not None and shuffle is not None and shuffle.op_type == "DepthToSpace":
        given = view.producers.get(shuffle.input[0])
        alone = view.sole_reader(codes.output[0]) is reals and view.sole_reader(shuffle.output[0]) is codes
        if alone and given is not None and given.op_type == "DequantizeLinear" and _alike(view, given, last):
            gone, start = [*gone, reals.output[0], codes.output[0]], shuffle.output[0]
    return _Moved(start, tuple(gone), last.output[0], window)


def _alike(view: GraphView, one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    """Whether two nodes quantize, or are quantized, alike."""
    if one.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(one.input) < 3 or len(other.input) < 3:
        return False
    pairs = [
        (view.constants.get(a), view.constants.get(b)) for a, b in zip(one.input[1:], other.input[1:], strict=True)
    ]
    return all(a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def framed(lowered: Lowered[Spec], frame: Frame | None) -> Lowered[Spec]:
    """``lowered`` for the picture without the border, with a ``main`` around the one that it has."""
    if frame is None:
        return lowered
    inner = lowered.module["main"]
    kept = {symbol: function for symbol, function in lowered.module.functions.items() if symbol.name_hint != "main"}
    builder = relax.BlockBuilder(IRModule(kept))
    *known, channels = inner.params[0].ty.shape.values
    height, width = (tirx.Var(f"{side.name}_given", "int64") for side in known)
    top, left, bottom, right = frame.added.pads
    pixels = relax.Var("pixels", relax.TensorType((height, width, channels), "uint8"))
    large = (height + (top + bottom), width + (left + right))
    with builder.function("main", [pixels]):
        with builder.dataflow():
            value: Any = pixels
            if any(frame.added.pads):
                symbol = _added(builder, "add_border", pad_pixels(int(channels), frame.added, frame.fill))
                kind = relax.TensorType((*large, channels), "uint8")
                value = builder.emit(relax.call_tir(symbol, relax.Tuple([value, height, width]), kind))
            # Its shape defines the sizes of the network between.
            value = _inlined(builder, inner, builder.match_cast(value, inner.params[0].ty))
            if any(frame.cut):
                rows, columns, planes = value.ty.shape.values
                made = (rows - (frame.cut[0] + frame.cut[2]), columns - (frame.cut[1] + frame.cut[3]))
                symbol = _added(builder, "cut_border", crop_pixels(int(planes), frame.cut))
                kind = relax.TensorType((*made, planes), "uint8")
                value = builder.emit(relax.call_tir(symbol, relax.Tuple([value, *made]), kind))
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return replace(lowered, module=builder.finalize(), frame=frame)


def _added(builder: relax.BlockBuilder, name: str, function: Any) -> Any:
    return builder.add_func(function.with_attr("global_symbol", name), name)


def _inlined(builder: relax.BlockBuilder, function: Any, value: Any) -> Any:
    """Emit what a function of one parameter does with ``value``; returns its result."""
    known: dict[Any, Any] = {function.params[0]: value}
    for block in function.body.blocks:
        for binding in block.bindings:
            known[binding.var] = emitted(builder, binding, known)
    return known[function.body.body]
