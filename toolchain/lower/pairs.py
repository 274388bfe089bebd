"""Products of two tensors, the smaller or larger of two, and pooling of the whole picture, in a Relax module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx

from toolchain.lower.bindings import Bindings
from toolchain.reference.steps import Activation, Codes, ExtremeStep, GlobalPoolStep, ProductStep


def match_pair(
    bindings: Bindings, value: Any, codes: Callable[[Any], Codes | None], out: Codes, after: Activation | None
) -> ProductStep | ExtremeStep | None:
    """Return the step of two different tensors of codes that ``value`` is, with the activation that follows it.

    ``codes``: what a variable stands for.
    """
    name = next((name for name in _PAIRS if bindings.is_call(value, name)), None)
    if name is None:
        return None
    first, second = (codes(operand) for operand in bindings.definitions[value].args)
    if first is None or second is None or first.tensor.same_as(second.tensor):
        return None
    if name == "relax.multiply":
        swapped = is_single(first.tensor) and not is_single(second.tensor)
        return ProductStep(out, (second, first) if swapped else (first, second), after)
    return ExtremeStep(out, (first, second), "min" if name == "relax.minimum" else "max", after)


def match_pool(
    bindings: Bindings, value: Any, codes: Callable[[Any], Codes | None], out: Codes, after: Activation | None
) -> GlobalPoolStep | None:
    """Return the pooling of the whole picture that ``value`` is, with the activation that follows it."""
    average, largest = (bindings.is_call(value, name) for name in ("relax.mean", "relax.max"))
    if not average and not largest:
        return None
    call = bindings.definitions[value]
    axes = sorted(int(axis) for axis in call.attrs.axis or ())
    source = codes(call.args[0])
    if axes != [2, 3] or not call.attrs.keepdims or source is None or (after is not None and after.slopes is not None):
        return None
    return GlobalPoolStep(out, source, "average" if average else "max", after)


def is_single(var: Any) -> bool:
    """Return whether a variable (1, C, h, w) has a single pixel, whatever the picture."""
    shape = var.ty.shape
    return shape is not None and all(
        isinstance(size, int | tirx.IntImm) and int(size) == 1 for size in (shape[2], shape[3])
    )


_PAIRS = ("relax.multiply", "relax.minimum", "relax.maximum")
