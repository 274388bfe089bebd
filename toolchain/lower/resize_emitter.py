"""Kernels of interpolations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.frontend.fixed_point import phases
from toolchain.kernels import enlarge, resample
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Interpolate
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Invocation
from toolchain.lower.packed import Packed
from toolchain.lower.requantization import requantization
from toolchain.lower.resizing import OPERATOR
from toolchain.lower.weights import pad
from toolchain.reference.resizing import Precision
from toolchain.reference.steps import ResizeStep

if TYPE_CHECKING:
    from toolchain.lower.integer_emitter import IntegerEmitter


def streams(step: ResizeStep) -> bool:
    """Return whether an interpolation is a kernel on windows of rows."""
    return bool(phases(step.resizing))


def emit_resize(emitter: IntegerEmitter, var: Any, step: ResizeStep) -> Packed:
    """Emit the interpolation that computes ``var``."""
    given, source = phases(step.resizing), emitter.packed(step.source.tensor)
    if source.slots != tuple(range(len(source.slots))):
        source = emitter.in_order(step.source.tensor)
    operation, constants, residual = _operation(emitter, var, step, source)
    if not given:
        return _whole(emitter, var, step, source, operation, constants, residual)
    factor, (above, below) = len(given), enlarge.surroundings(given)
    sources = [source.source(above, below)]
    if residual is not None:
        sources.append(residual.source(0, factor - 1, factor))
    kernel = enlarge.build(operation, emitter.geometry, emitter.dot)
    invocation = Invocation("enlarge", kernel, tuple(sources), operation, constants, factor, placed=True)
    return emitter.write(var, invocation, emitter.extent(step.source.tensor))


def _whole(
    emitter: IntegerEmitter,
    var: Any,
    step: ResizeStep,
    source: Packed,
    operation: Interpolate,
    constants: tuple[np.ndarray, ...],
    residual: Packed | None,
) -> Packed:
    """Emit an interpolation whose weights depend on the picture's size, or that is by broken factors."""
    tensor, extents = emitter.tensor(var), (emitter.extent(step.source.tensor), emitter.extent(var))
    sources = tuple(one.source() for one in (source, residual) if one is not None)
    function = resample.build(operation, emitter.geometry)
    given = Invocation("resample", function, sources, operation, constants)
    made = emitter.calls.layer(given, tensor.view, tensor, extents, origin_of(emitter, step))
    return Packed(made, tensor.view, tuple(range(channels_of(var))), tensor)


def origin_of(emitter: IntegerEmitter, step: ResizeStep) -> str:
    """Return the Resize of the ONNX model that ``step`` is."""
    matcher = emitter.matcher
    value = matcher.activation(matcher.definitions[step.out.tensor].args[0])[1]
    if step.residual is not None:
        value = next(a for a in matcher.definitions[value].args if matcher.is_call(a, OPERATOR))
    return str(matcher.origin(value))


def _operation(
    emitter: IntegerEmitter, var: Any, step: ResizeStep, source: Packed
) -> tuple[Interpolate, tuple[np.ndarray, ...], Packed | None]:
    """Return what a kernel computes, its arrays, and what it adds."""
    channels, view, output, given = channels_of(var), emitter.target(var), step.out.quantization, step.source
    operand, residual = None, None
    if step.residual is not None:
        operand, residual = emitter.term(step.residual, channels, output)
    requantize, slopes = requantization(None, step.after, output, operand)
    precision = Precision.of(given.quantization)
    multiplier = np.float32(np.float64(given.quantization.scale) * 2.0**-precision.fraction / np.float64(output.scale))
    operation = Interpolate(
        source.view,
        step.resizing,
        given.quantization.zero_point,
        precision.dropped,
        float(multiplier),
        requantize,
        view,
    )
    constants = () if slopes is None else (pad(slopes, view.count * PACK),)
    return operation, constants, residual
