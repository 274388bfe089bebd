"""The smallest or largest of every pixel's numbers: found in a Relax module, and emitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolchain.kernels import channel_pool
from toolchain.kernels.spec import ChannelPool, View
from toolchain.lower.bindings import Bindings, channels_of
from toolchain.lower.calls import Invocation
from toolchain.lower.requantization import requantization
from toolchain.reference.steps import Activation, ChannelPoolStep, Codes

if TYPE_CHECKING:
    from toolchain.lower.integer_emitter import IntegerEmitter


def match_channel_pool(
    bindings: Bindings, value: Any, codes: Callable[[Any], Codes | None], out: Codes, after: Activation | None
) -> ChannelPoolStep | None:
    """Return the extreme over channels that ``value`` is, with the activation that follows it."""
    smallest, largest = (bindings.is_call(value, name) for name in ("relax.min", "relax.max"))
    if (not smallest and not largest) or (after is not None and after.slopes is not None):
        return None
    call = bindings.definitions[value]
    source = codes(call.args[0])
    if source is None or [int(axis) % 4 for axis in call.attrs.axis or ()] != [1] or not call.attrs.keepdims:
        return None
    return ChannelPoolStep(out, source, "min" if smallest else "max", after)


def pooled_channels(emitter: IntegerEmitter, step: ChannelPoolStep, view: View) -> Invocation:
    """Return the kernel of ``step``, into ``view``."""
    var, output = step.source.tensor, step.out.quantization
    source = emitter.packed(var)
    if source.slots != tuple(range(channels_of(var))):
        source = emitter.in_order(var)
    operand, _ = emitter.term(step.source, channels_of(var), output)
    requantize, _ = requantization(None, step.after, output, None)
    operation = ChannelPool(
        source.view, channels_of(var), step.kind, operand.zero_point, operand.multiplier, requantize, view
    )
    function = channel_pool.build(operation, emitter.geometry, emitter.dot)
    return Invocation("channel_pool", function, (source.source(),), operation)
