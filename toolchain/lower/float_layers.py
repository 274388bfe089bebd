"""What cuts, continues, interpolates or normalizes pictures in a Relax module of floats: found, and emitted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.frontend.resize import Sampling
from toolchain.frontend.window import Window
from toolchain.kernels import float_normalization, float_resample
from toolchain.kernels.float_spec import FloatNormalization, FloatSample
from toolchain.lower.bindings import Bindings, channels_of, is_picture
from toolchain.lower.calls import Invocation
from toolchain.lower.importer import window_of
from toolchain.lower.normalization import Floats, read_normalization
from toolchain.lower.packed import Packed, moved
from toolchain.lower.resizing import OPERATOR, sampling_of

if TYPE_CHECKING:
    from toolchain.lower.float_emitter import FloatEmitter


@dataclass(frozen=True, eq=False)
class FloatWindowChain:
    """A variable cut, or continued at its borders."""

    source: Any
    window: Window


@dataclass(frozen=True, eq=False)
class FloatSampleChain:
    """Interpolation of a variable by any factors."""

    source: Any
    sampling: Sampling
    factors: tuple[Fraction, Fraction] | None


@dataclass(frozen=True, eq=False)
class FloatNormalizationChain:
    """Normalization over the channels of each pixel of a variable."""

    source: Any
    gains: Floats
    offsets: Floats
    epsilon: float


LayerChain = FloatWindowChain | FloatSampleChain | FloatNormalizationChain


def match_layer(bindings: Bindings, var: Any) -> LayerChain | None:
    """Return what ``var`` is; None if it is none of these."""
    normalization = read_normalization(bindings, var)
    if normalization is not None:
        return FloatNormalizationChain(*normalization)
    for name in ("relax.nn.pad", OPERATOR):
        if not bindings.is_call(var, name):
            continue
        call = bindings.definitions[var]
        if not is_picture(call.args[0]):
            return None
        if name == OPERATOR:
            return FloatSampleChain(call.args[0], *sampling_of(call))
        window = window_of(call)
        return None if window is None else FloatWindowChain(call.args[0], window)
    return None


def emit_layer(emitter: FloatEmitter, var: Any, chain: LayerChain) -> Packed:
    """Emit what computes ``var``."""
    source, extents = emitter.packed(chain.source), (emitter.extent(chain.source), emitter.extent(var))
    if isinstance(chain, FloatWindowChain):
        return moved(emitter.calls, source, chain.window, 0, extents, origin=emitter.matcher.origin(var))
    channels = tuple(range(channels_of(var)))
    if source.slots != channels or source.view.count != len(channels):
        source = emitter.in_order(chain.source)
    if isinstance(chain, FloatNormalizationChain):
        normalization = FloatNormalization(source.view, chain.epsilon, emitter.target(var))
        kernel = float_normalization.build(normalization, emitter.geometry, emitter.vectors)
        factors = tuple(np.asarray(array, emitter.vectors.dtype) for array in (chain.gains, chain.offsets))
        return emitter.write(var, Invocation("normalize", kernel, (source.source(),), normalization, factors))
    tensor = emitter.tensor(var)
    sample = FloatSample(source.view, chain.sampling, chain.factors, tensor.view)
    kernel = float_resample.build(sample, emitter.geometry, emitter.vectors)
    given = Invocation("resample", kernel, (source.source(),), sample)
    made = emitter.calls.layer(given, tensor.view, tensor, extents, emitter.matcher.origin(var))
    return Packed(made, tensor.view, channels, tensor)
