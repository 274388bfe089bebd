"""Weights and biases as integers: int8 per output channel, of a set of codes; int32 biases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.code_set import ALL, CodeSet
from toolchain.quantize.estimators.percentile import Percentile
from toolchain.reference.graph import Array
from toolchain.reference.pairs import round_safely
from toolchain.support.errors import CalibrationError

OUTPUT: Final = "output"
_BIAS_LIMIT: Final = 2**30


class ScaleFunction(Protocol):
    """From weights (O, I, kh, kw) and their set of codes to scales (O,)."""

    def __call__(self, weights: NDArray[np.float64], among: CodeSet = ALL) -> NDArray[np.float64]:
        """Return the scales."""


@dataclass(frozen=True)
class QuantizedWeight:
    """int8 ``codes``, of the set ``among``, in the weight's own layout, float32 ``scale`` per output channel, which lie
    along ``axis``.
    """

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]
    axis: int
    estimator: str
    among: CodeSet = ALL

    def real(self) -> NDArray[np.float32]:
        """Return the float32 weights that the codes stand for."""
        return (self.codes.astype(np.float32) * along(self.scale, self.axis, self.codes.ndim)).astype(np.float32)


def along(values: Array, axis: int, rank: int) -> Array:
    """Return a vector as an array of ``rank`` dimensions that broadcasts along ``axis``."""
    return values.reshape([-1 if index == axis else 1 for index in range(rank)])


def outputs_first(weight: Array, axis: int) -> Array:
    """Return a convolution's weights as (O, I, kh, kw); ``axis``: where its output channels are."""
    return np.moveaxis(weight, axis, 0)


def mse_scale(weights: NDArray[np.float64], among: CodeSet = ALL) -> NDArray[np.float64]:
    """Return per channel, the scale among 81 shrinkings of the least safe one (1.0 to 0.6) with the least squared
    error.

    ``weights`` (O, I, kh, kw) -> (O,).
    """
    full = among.least_scale(weights)
    best, least = full.copy(), np.full(len(weights), np.inf)
    for factor in np.linspace(1.0, 0.6, 81):
        scale = along(np.where(full > 0, full * factor, 1.0), 0, weights.ndim)
        loss = ((weights - among.rounded(weights / scale) * scale) ** 2).sum(axis=(1, 2, 3))
        better = loss < least
        best[better], least[better] = (full * factor)[better], loss[better]
    return best


def minmax_scale(weights: NDArray[np.float64], among: CodeSet = ALL) -> NDArray[np.float64]:
    """Return per channel, the least scale at which no weight saturates: (O, I, kh, kw) -> (O,)."""
    return among.least_scale(weights)


def percentile_scale(weights: NDArray[np.float64], percent: float, among: CodeSet = ALL) -> NDArray[np.float64]:
    """Return per channel, the scale at which ``percent`` of the weights do not saturate: outliers of merged branches
    do.

    ``weights`` (O, I, kh, kw) -> (O,).
    """
    most = np.percentile(np.abs(weights), percent, axis=(1, 2, 3), method="higher", keepdims=True)
    return among.least_scale(np.clip(weights, -most, most))


def scale_by(name: str) -> ScaleFunction:
    """Return the function from weights (O, I, kh, kw) and their set of codes to scales (O,) that is called "minmax",
    "mse", "output" or "percentile:P".

    "output" is "mse", to begin with: reconstruction then tries several scales on the calibration images.
    Entropy and averages over pictures are for activations: a channel has a few hundred weights, all known.

    Raises:
        CalibrationError: there is no such function.
    """
    if name in _SCALES:
        return _SCALES[name]
    kind, _, argument = name.partition(":")
    if kind == "percentile":
        percent = Percentile.parse(argument)
        return lambda weights, among=ALL: percentile_scale(weights, percent, among)
    raise CalibrationError(
        f"there is no weight estimator '{name}'", hint=f"choose one of {', '.join(sorted(_SCALES))}, percentile:P"
    )


_SCALES: Final[dict[str, ScaleFunction]] = {
    "minmax": minmax_scale,
    "mse": mse_scale,
    OUTPUT: mse_scale,
}


def safe_scale(scale: Array, bias: Array, source_scale: float) -> NDArray[np.float32]:
    """Scales as float32, large enough that every bias fits in 31 bits, even where a channel has no weights."""
    least = np.abs(bias.astype(np.float64)) / (source_scale * _BIAS_LIMIT)
    floor = np.maximum(least, np.finfo(np.float32).tiny * 2.0**24)
    return np.maximum(scale, floor).astype(np.float32)


def make_room_for_bias(weight: QuantizedWeight, bias: Array, source_scale: float) -> QuantizedWeight:
    """Return the weights at scales at which ``bias`` (O,) fits in 31 bits; as they are, but where it dwarfs a
    channel's.
    """
    folded = np.abs(bias).reshape(-1, len(weight.scale)).max(axis=0)
    scale = safe_scale(weight.scale, folded, source_scale)
    shrunk = along(weight.scale / scale.astype(np.float64), weight.axis, weight.codes.ndim)
    steps = weight.codes.astype(np.float64) * shrunk
    limit = np.full(steps.shape, float(weight.among.largest))
    return replace(weight, codes=weight.among.nearest(steps, -limit, limit).astype(np.int8), scale=scale)


def round_weight(
    weight: Array, scale: NDArray[np.float32], axis: int, estimator: str, among: CodeSet = ALL
) -> QuantizedWeight:
    """Round each weight to its nearest code that leaves all pairs safe."""
    steps = outputs_first(weight.astype(np.float64), axis) / along(scale.astype(np.float64), 0, weight.ndim)
    codes = np.ascontiguousarray(np.moveaxis(among.rounded(steps), 0, axis))
    return QuantizedWeight(codes, scale, axis, estimator, among)


def make_safe(weight: QuantizedWeight) -> QuantizedWeight:
    """Return the weights with all pairs safe: as they are, but where channels have other neighbours than when they were
    rounded.
    """
    if weight.among.free:
        return weight
    codes = round_safely(outputs_first(weight.codes.astype(np.float64), weight.axis))
    return replace(weight, codes=np.ascontiguousarray(np.moveaxis(codes, 0, weight.axis)))


def bias_scale(source_scale: float, weight_scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scale of the accumulator: float32(s_x * s_w) per output channel."""
    scale: NDArray[np.float32] = (np.float64(source_scale) * weight_scale.astype(np.float64)).astype(np.float32)
    return scale


def round_bias(bias: Array, source_scale: float, weight_scale: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the bias in accumulator steps, saturated to 31 bits."""
    steps = np.rint(bias.astype(np.float64) / (np.float64(source_scale) * weight_scale.astype(np.float64)))
    return np.clip(steps, -_BIAS_LIMIT, _BIAS_LIMIT).astype(np.int32)
