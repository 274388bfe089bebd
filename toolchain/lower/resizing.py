"""Interpolation in a Relax module: how the importer writes it, and what it is read as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import onnx
from tvm import relax, tirx

from toolchain.frontend.fixed_point import read_sized
from toolchain.frontend.resize import Sampling
from toolchain.kernels.resize import resize_axis
from toolchain.lower.depth_to_space import evaluate
from toolchain.reference.graph import GraphView

OPERATOR = "relax.image.resize2d"
_LARGE = 1 << 40
"""A size at which a factor shows, however it is rounded."""

_TRIED = range(240, 300)
"""Sizes at which it must be right."""


PICTURE = "picture"
"""Attribute of a Resize whose second input is the network's: how many times as large its result is."""


def spelled(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with `PICTURE` in place of computed sizes, which TVM does not know as numbers."""
    view = GraphView(model)
    found = {node.output[0]: read_sized(node, view.producers, view.constants) for node in model.graph.node}
    if not any(found.values()):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        sized = found[node.output[0]]
        if sized is not None:
            node.input[:] = [node.input[0], sized[1]]
            node.attribute.append(onnx.helper.make_attribute(PICTURE, sized[0].picture))
    read = {name for node in result.graph.node for name in node.input} | {model.graph.output[0].name}
    while dead := [node for node in result.graph.node if not read.intersection(node.output)]:
        for node in dead:
            result.graph.node.remove(node)
        read = {name for node in result.graph.node for name in node.input} | {model.graph.output[0].name}
    return result


def resize_call(value: Any, sampling: Sampling, factors: tuple[Fraction, Fraction]) -> Any:
    """``value`` (1, C, h, w) resized by factors, as a Relax expression."""
    sizes = [
        tirx.floordiv(size * factor.numerator, factor.denominator)
        for size, factor in zip(value.ty.shape.values[2:], factors, strict=True)
    ]
    return sized_call(value, sampling, sizes)


def sized_call(value: Any, sampling: Sampling, sizes: Sequence[Any]) -> Any:
    """``value`` (1, C, h, w) resized to ``sizes``, as a Relax expression."""
    return relax.op.image.resize2d(
        value,
        relax.ShapeExpr(sizes),
        layout="NCHW",
        method=sampling.mode,
        coordinate_transformation_mode=sampling.coordinates,
        rounding_method=sampling.nearest,
        cubic_alpha=sampling.alpha,
        cubic_exclude=int(sampling.exclude_outside),
    )


def sampling_of(call: Any) -> tuple[Sampling, tuple[Fraction, Fraction] | None]:
    """Return how a call that `resize_call` made samples, and its factors; None where the result's size follows from
    none.
    """
    attrs, factors = call.attrs, []
    for given, made in zip(call.args[0].ty.shape.values[2:], call.args[1].values, strict=True):
        names = {*tirx.analysis.undefined_vars(given), *tirx.analysis.undefined_vars(made)}

        def at(size: int, given: Any = given, made: Any = made, names: Any = names) -> tuple[int, int]:
            sizes = dict.fromkeys(names, size)
            return evaluate(made, sizes), evaluate(given, sizes)

        factors.append(Fraction(*at(_LARGE)).limit_denominator(4096))
        if any(out != int(size * factors[-1]) for out, size in map(at, _TRIED)):
            factors = []
            break
    sampling = Sampling(
        str(attrs.method),
        str(attrs.coordinate_transformation_mode),
        str(attrs.rounding_method),
        float(attrs.cubic_alpha),
        bool(attrs.cubic_exclude),
    )
    return sampling, (factors[0], factors[1]) if factors else None


def resize_floats(call: Any, value: Any, builder: relax.BlockBuilder, add: Callable[[str, Any], Any]) -> Any:
    """Emit a call that `resize_call` made, of the float tensor ``value``, as loops over an axis at a time.

    ``add`` adds a function to the module.
    """
    sampling, factors = sampling_of(call)
    for axis in (1, 0):  # the narrower picture first
        factor = None if factors is None else factors[axis]
        if factor == 1:
            continue
        shape = list(value.ty.shape.values)
        shape[2 + axis] = call.args[1].values[axis]
        symbol = add("resize", resize_axis(sampling, int(shape[1]), axis, factor))
        value = builder.emit(relax.call_tir(symbol, relax.Tuple([value]), relax.TensorType(shape, "float32")))
    return value
