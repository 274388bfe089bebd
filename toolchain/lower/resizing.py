"""Interpolation in a Relax module: how the importer writes it, and what it is read as."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tvm import relax, tirx

from toolchain.frontend.resize import Sampling
from toolchain.kernels.resize import resize_axis
from toolchain.lower.depth_to_space import evaluate

OPERATOR = "relax.image.resize2d"
_LARGE = 1 << 40
"""A size at which a factor shows, however it is rounded."""


def resize_call(value: Any, sampling: Sampling, factors: tuple[Fraction, Fraction]) -> Any:
    """``value`` (1, C, h, w) resized, as a Relax expression."""
    sizes = [
        tirx.floordiv(size * factor.numerator, factor.denominator)
        for size, factor in zip(value.ty.shape.values[2:], factors, strict=True)
    ]
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


def sampling_of(call: Any) -> tuple[Sampling, tuple[Fraction, Fraction]]:
    """Return how a call that `resize_call` made samples, and its factors."""
    attrs, factors = call.attrs, []
    for given, made in zip(call.args[0].ty.shape.values[2:], call.args[1].values, strict=True):
        sizes = dict.fromkeys(tirx.analysis.undefined_vars(given), _LARGE)
        factors.append(Fraction(evaluate(made, sizes), evaluate(given, sizes)).limit_denominator(4096))
    sampling = Sampling(
        str(attrs.method),
        str(attrs.coordinate_transformation_mode),
        str(attrs.rounding_method),
        float(attrs.cubic_alpha),
        bool(attrs.cubic_exclude),
    )
    return sampling, (factors[0], factors[1])


def resize_floats(call: Any, value: Any, builder: relax.BlockBuilder, add: Callable[[str, Any], Any]) -> Any:
    """Emit a call that `resize_call` made, of the float tensor ``value``, as loops over an axis at a time.

    ``add`` adds a function to the module.
    """
    sampling, factors = sampling_of(call)
    for axis in (1, 0):  # the narrower picture first
        if factors[axis] == 1:
            continue
        shape = list(value.ty.shape.values)
        shape[2 + axis] = call.args[1].values[axis]
        symbol = add("resize", resize_axis(sampling, int(shape[1]), axis, factors[axis]))
        value = builder.emit(relax.call_tir(symbol, relax.Tuple([value]), relax.TensorType(shape, "float32")))
    return value
