"""Normalization over the channels of each pixel in a Relax module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.ir import GenericConst

from toolchain.frontend.graph import TO_FIRST, TO_LAST
from toolchain.lower.bindings import Bindings
from toolchain.reference.steps import Codes, NormalizationStep

Floats = NDArray[np.float32]


def match_normalization(
    bindings: Bindings, value: Any, codes: Callable[[Any], Codes | None], out: Codes
) -> NormalizationStep | None:
    """Return the normalization over channels of codes that ``value`` is.

    ``codes``: what a variable stands for.
    """
    read = read_normalization(bindings, value)
    found = None if read is None else codes(read[0])
    return None if read is None or found is None else NormalizationStep(out, found, *read[1:])


def read_normalization(bindings: Bindings, value: Any) -> tuple[Any, Floats, Floats, float] | None:
    """Return what the normalization over channels that ``value`` is reads, gains and offsets of the channels, and what
    it adds to the variance; None if it is anything else.
    """
    inner = _permuted(bindings, value, TO_FIRST)
    if inner is None or not bindings.is_call(inner, "relax.nn.layer_norm"):
        return None
    call = bindings.definitions[inner]
    across, gains, offsets = call.args
    source = _permuted(bindings, across, TO_LAST)
    axes = [int(axis) % 4 for axis in call.attrs.axes]
    constant = isinstance(gains, GenericConst) and isinstance(offsets, GenericConst)
    if source is None or axes != [3] or not constant or bindings.uses.get(inner) != 1 or bindings.uses.get(across) != 1:
        return None
    gain, offset = (array.value.numpy().astype(np.float32).reshape(-1) for array in (gains, offsets))
    return source, gain, offset, float(call.attrs.epsilon)


def _permuted(bindings: Bindings, value: Any, order: list[int]) -> Any | None:
    """Return what ``value`` is with its axes in another ``order``; None if it is anything else."""
    if not bindings.is_call(value, "relax.permute_dims"):
        return None
    call = bindings.definitions[value]
    return call.args[0] if [int(axis) for axis in call.attrs.axes or ()] == order else None
