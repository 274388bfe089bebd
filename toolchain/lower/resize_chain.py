"""Find interpolations between quantized tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolchain.frontend.fixed_point import Resizing, resizing_of
from toolchain.lower.bindings import Bindings
from toolchain.lower.resizing import OPERATOR, sampling_of
from toolchain.reference.steps import Activation, Codes, ResizeStep


def match_resize(
    bindings: Bindings, codes: Callable[[Any], Codes | None], out: Codes, value: Any, after: Activation | None
) -> ResizeStep | None:
    """Return the interpolation that ``value`` is, without the activation ``after`` that follows; None if it is none."""
    found = _read(bindings, codes, value)
    if found is not None:
        return ResizeStep(out, *found, None, after)
    if not bindings.is_call(value, "relax.add") or (after is not None and after.slopes is not None):
        return None
    for inner, other in (bindings.definitions[value].args, bindings.definitions[value].args[::-1]):
        residual = codes(other)
        found = _read(bindings, codes, inner) if residual is not None else None
        if found is not None:
            return ResizeStep(out, *found, residual, after)
    return None


def _read(bindings: Bindings, codes: Callable[[Any], Codes | None], value: Any) -> tuple[Codes, Resizing] | None:
    if not bindings.is_call(value, OPERATOR):
        return None
    call = bindings.definitions[value]
    source, (sampling, factors) = codes(call.args[0]), sampling_of(call)
    resizing = resizing_of(sampling, factors)
    return None if source is None or resizing is None else (source, resizing)
