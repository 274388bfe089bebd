"""Kernels of normalization over channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolchain.kernels import normalization
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Normalization, View
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Invocation
from toolchain.lower.requantization import requantization
from toolchain.lower.weights import pad
from toolchain.reference.normalization import normalization_factors
from toolchain.reference.steps import NormalizationStep

if TYPE_CHECKING:
    from toolchain.lower.integer_emitter import IntegerEmitter


def normalized(emitter: IntegerEmitter, step: NormalizationStep, view: View) -> Invocation:
    """Return the kernel of ``step``, into ``view``."""
    channels, var = channels_of(step.out.tensor), step.source.tensor
    source = emitter.packed(var)
    if source.slots != tuple(range(channels)):
        source = emitter.in_order(var)
    spread, gains, offsets = normalization_factors(step)
    requantize, _ = requantization(None, None, step.out.quantization, None)
    operation = Normalization(source.view, channels, float(spread), step.epsilon, requantize, view)
    factors = np.stack([pad(array.reshape(-1), view.count * PACK) for array in (gains, offsets)])
    function = normalization.build(operation, emitter.geometry, emitter.dot)
    return Invocation("normalize", function, (source.source(),), operation, (factors,))
