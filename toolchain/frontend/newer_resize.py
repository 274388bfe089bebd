"""Resize as opsets after 17 have it, in words of 17: some axes only, an aspect ratio that is kept, antialiasing.

Antialiasing widens the kernel as much as a picture shrinks, and takes what stands at the border for what lies beyond.
By a whole factor that is a border and a depthwise convolution with a stride.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend.graph import Array, attributes, set_attribute
from toolchain.frontend.probe import session
from toolchain.support.errors import ModelError

_AXES = 4
_PLACES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric")
"""Where pixels lie that shrink by whole factors, whatever the size."""


def lower_resizes(model: onnx.ModelProto, constants: Mapping[str, Array], shape: tuple[int, ...]) -> None:
    """Rewrite every Resize in place.

    Args:
        model: of an opset after 17.
        constants: its constants by name.
        shape: of a picture that it takes.

    Raises:
        ModelError: opset 17 has no words for one, which is named.
    """
    found: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Resize":
            found.append(node)
            continue
        told = attributes(node)
        if told.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            _stretch(model, node, shape)
        if told.get("antialias"):
            set_attribute(node, "antialias", None)  # what grows is the same with and without it
            given, made = _tried(model, (node.input[0], node.output[0]), shape)
            factors = [Fraction(after, before) for after, before in zip(made.shape, given.shape, strict=True)]
            if min(factors) < 1:
                found += _smoothed(model, node, factors, constants)
                continue
        found += [*_all_axes(model, node, constants), node]
    del model.graph.node[:]
    model.graph.node.extend(found)


def _tried(model: onnx.ModelProto, names: Sequence[str], shape: tuple[int, ...]) -> list[Array]:
    """Return values of the model for a black picture of ``shape``."""
    tried = onnx.ModelProto.FromString(model.SerializeToString())
    del tried.graph.output[:]
    tried.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return session(tried).run(None, np.zeros(shape, np.float32))


def _stretch(model: onnx.ModelProto, node: onnx.NodeProto, shape: tuple[int, ...]) -> None:
    """Let a Resize that keeps an aspect ratio stretch, where it has the sizes that it is asked for in any case."""
    sizes, constant = node.input[3], next((t for t in model.graph.initializer if t.name == node.input[3]), None)
    names = [node.output[0], *([] if constant else [sizes])]
    made, *wanted = _tried(model, names, shape)
    asked = numpy_helper.to_array(constant) if constant else wanted[0]
    axes = attributes(node).get("axes", range(_AXES))
    if [made.shape[axis] for axis in axes] != asked.tolist():
        raise ModelError(
            f"operator Resize '{node.name}' keeps an aspect ratio that is not that of its sizes",
            hint="give it a factor, or sizes that are multiples of the picture's",
        )
    set_attribute(node, "keep_aspect_ratio_policy", None)


def _all_axes(model: onnx.ModelProto, node: onnx.NodeProto, constants: Mapping[str, Array]) -> list[onnx.NodeProto]:
    """Let a Resize of some axes speak of all; returns the nodes that compute how."""
    axes = [axis % _AXES for axis in attributes(node).get("axes", [])]
    set_attribute(node, "axes", None)
    place = next((index for index in (2, 3) if len(node.input) > index and node.input[index]), None)
    if not axes or place is None:
        return []
    given, name = constants.get(node.input[place]), f"{node.output[0]}_{'scales' if place == 2 else 'sizes'}"
    if given is not None and place == 2:
        factors = np.ones(_AXES, np.float32)
        factors[axes] = given
        node.input[place] = _stored(model, factors, name)
        return []
    made, parts = [], []
    for axis in range(_AXES):
        part = f"{name}_{axis}"
        if axis in axes:
            index = _stored(model, np.array([axes.index(axis)]), f"{part}_index")
            made.append(helper.make_node("Gather", [node.input[place], index], [part], name=part, axis=0))
        elif place == 2:
            part = _stored(model, np.ones(1, np.float32), part)
        else:
            made.append(helper.make_node("Shape", [node.input[0]], [part], name=part, start=axis, end=axis + 1))
        parts.append(part)
    node.input[place] = name
    return [*made, helper.make_node("Concat", parts, [name], name=name, axis=0)]


def _smoothed(
    model: onnx.ModelProto, node: onnx.NodeProto, factors: list[Fraction], constants: Mapping[str, Array]
) -> list[onnx.NodeProto]:
    """Return what shrinks as a Resize with antialiasing does: a border and a depthwise convolution."""
    told, last = attributes(node), factors[1] != 1
    sides = factors[1:3] if last else factors[2:]
    scales = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if scales is not None and scales.size >= len(sides):  # sizes are rounded down
        axes = [axis % _AXES for axis in told.get("axes", range(_AXES))]
        by = dict(zip(axes, scales.tolist(), strict=False))
        sides = [Fraction(by.get(axis, 1.0)).limit_denominator(_AXES**3) for axis in ((1, 2) if last else (2, 3))]
    place, mode = told.get("coordinate_transformation_mode", "half_pixel"), told.get("mode", "nearest")
    whole = all(side.numerator == 1 for side in sides) and factors[0] == 1 and (factors[3] == 1 or not last)
    if not whole or place not in _PLACES or mode not in ("linear", "cubic") or told.get("exclude_outside", 0):
        raise ModelError(
            f"operator Resize '{node.name}' shrinks with antialiasing in a way that is no convolution",
            hint="shrink by a half, a third ... with coordinates 'half_pixel' and without 'exclude_outside', "
            "or without antialiasing",
        )
    alpha = float(told.get("cubic_coeff_a", -0.75))
    steps = [side.denominator for side in sides]
    rows, columns = (_kernel(mode, step, place == "asymmetric", alpha) for step in steps)
    channels = _channels(model, node, last)
    weight = np.broadcast_to(np.outer(rows[1], columns[1]), (channels, 1, len(rows[1]), len(columns[1])))
    target = node.output[0]
    after = [len(taps) - first - step for (first, taps), step in zip((rows, columns), steps, strict=True)]
    pads = [0, 0, rows[0], columns[0], 0, 0, *after]
    names = [f"{target}_{what}" for what in ("first", "framed", "smoothed")]
    given, made = (names[0], names[2]) if last else (node.input[0], target)
    wide = _stored(model, np.array(pads), f"{target}_pads")
    taps = _stored(model, np.ascontiguousarray(weight, np.float32), f"{target}_taps")
    nodes = [
        helper.make_node("Pad", [given, wide], [names[1]], name=names[1], mode="edge"),
        helper.make_node("Conv", [names[1], taps], [made], name=node.name or names[2], strides=steps, group=channels),
    ]
    if not last:
        return nodes
    before = helper.make_node("Transpose", [node.input[0]], [given], name=given, perm=[0, 3, 1, 2])
    return [before, *nodes, helper.make_node("Transpose", [made], [target], name=target, perm=[0, 2, 3, 1])]


def _kernel(mode: str, step: int, asymmetric: bool, alpha: float) -> tuple[int, Array]:
    """Return how many pixels before its own an output's kernel begins, and its weights, which add up to 1."""
    if step == 1:
        return 0, np.ones(1)
    reach = (1 if mode == "linear" else 2) * step
    places = np.arange(-reach, reach + step)
    centre = 0.0 if asymmetric else (step - 1) / 2
    apart = np.abs(places - centre) / step
    near = ((alpha + 2) * apart - (alpha + 3)) * apart**2 + 1
    far = ((alpha * apart - 5 * alpha) * apart + 8 * alpha) * apart - 4 * alpha
    cubic = np.where(apart < 1, near, np.where(apart < 2, far, 0.0))
    weights = np.maximum(1 - apart, 0.0) if mode == "linear" else cubic
    used = np.flatnonzero(weights)
    kept = weights[used[0] : used[-1] + 1]
    return int(-places[used[0]]), kept / kept.sum()


def _channels(model: onnx.ModelProto, node: onnx.NodeProto, last: bool) -> int:
    """Return how many channels a Resize is given, as far as shapes are inferred."""
    inferred = onnx.shape_inference.infer_shapes(model)
    for value in [*inferred.graph.value_info, *inferred.graph.input]:
        dims = value.type.tensor_type.shape.dim
        if value.name == node.input[0] and len(dims) == _AXES and dims[3 if last else 1].dim_value:
            return int(dims[3 if last else 1].dim_value)
    raise ModelError(
        f"how many channels operator Resize '{node.name}' shrinks cannot be told", hint="shrink without antialiasing"
    )


def _stored(model: onnx.ModelProto, value: Array, name: str) -> str:
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name
