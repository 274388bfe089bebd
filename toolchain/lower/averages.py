"""Averages of windows that leave out what lies beyond the picture: found in a Relax module, and emitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolchain.kernels import average
from toolchain.lower.bindings import Bindings, channels_of
from toolchain.lower.calls import Invocation
from toolchain.lower.packed import Packed
from toolchain.lower.requantization import requantization
from toolchain.reference.average import average_multipliers
from toolchain.reference.steps import Activation, AverageStep, Codes

if TYPE_CHECKING:
    from toolchain.lower.integer_emitter import IntegerEmitter


def match_average(
    bindings: Bindings, value: Any, codes: Callable[[Any], Codes | None], out: Codes, after: Activation | None
) -> AverageStep | None:
    """Return the average that ``value`` is, with the activation that follows it; see `toolchain.reference.average`."""
    if not bindings.is_call(value, "relax.nn.avg_pool2d") or (after is not None and after.slopes is not None):
        return None
    call = bindings.definitions[value]
    source, attrs = codes(call.args[0]), call.attrs
    kernel, strides, dilations, pads = (
        tuple(int(number) for number in numbers)
        for numbers in (attrs.pool_size, attrs.strides, attrs.dilation, attrs.padding)
    )
    if source is None or attrs.count_include_pad or dilations != (1, 1):
        return None
    return AverageStep(out, source, kernel, strides, pads, (1, 1), bool(attrs.ceil_mode), after)  # type: ignore[arg-type]


def emit_average(emitter: IntegerEmitter, var: Any, step: AverageStep) -> Packed:
    """Emit the average that computes ``var``, of a whole tensor."""
    given, output = step.source, step.out.quantization
    source = emitter.packed(given.tensor)
    if source.slots != tuple(range(channels_of(var))):
        source = emitter.in_order(given.tensor)
    tensor, extents = emitter.tensor(var), (emitter.extent(given.tensor), emitter.extent(var))
    operation = average.Average(
        source.view,
        step.kernel,
        step.strides,
        step.pads[:2],
        given.quantization.zero_point,
        requantization(None, step.after, output, None)[0],
        tensor.view,
    )
    origin = emitter.matcher.origin(emitter.matcher.definitions[var].args[0])
    factors, function = (
        average_multipliers(given.quantization, output, step),
        average.build(operation, emitter.geometry),
    )
    invocation = Invocation("average", function, (source.source(),), operation, (factors,))
    made = emitter.calls.layer(invocation, tensor.view, tensor, extents, origin)
    return Packed(made, tensor.view, tuple(range(channels_of(var))), tensor)
