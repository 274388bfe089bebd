"""Interpolation by integers: weights are whole numbers that add up to `ONE`, and so are the places they come from.

Where an output lies among the inputs is a fraction of whole numbers, whatever the sizes; how far it is behind the input
before it is rounded to `WEIGHT_BITS` bits, half up, and weights are polynomials of that, rounded likewise. Those of
enlargements by two and four are exact. `toolchain.kernels.resample` writes the same for sizes that are not known yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.frontend.graph import Array, attributes
from toolchain.frontend.resize import TAPS, Sampling, fraction, read_sampling

WEIGHT_BITS = 14
ONE = 1 << WEIGHT_BITS
"""The sum of the weights of an output."""

_STEEPEST = 1.0
"""The largest magnitude of a cubic kernel's parameter for which no sum leaves 32 bits."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Resizing:
    """A Resize: how it samples, and the factors of rows and columns; None: it makes a tensor ``picture`` times as large
    as the network's input, whatever the size of what it reads.
    """

    sampling: Sampling
    factors: tuple[Fraction, Fraction] | None
    picture: int = 1

    @property
    def whole(self) -> int | None:
        """The whole factor of both directions; None where there is none."""
        if self.factors is None:
            return None
        rows, columns = self.factors
        return int(rows) if rows == columns and rows.denominator == 1 and rows > 1 else None


def read_resizing(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Resizing | None:
    """Return what a Resize of opset 17 by factors does, if integers can do it; None for any other node."""
    if node.op_type != "Resize" or len(node.input) != 3:
        return None
    sampling, scales = read_sampling(attributes(node)), constants.get(node.input[2])
    if sampling is None or scales is None or scales.shape != (4,) or (scales[:2] != 1).any():
        return None
    return resizing_of(sampling, (fraction(float(scales[2])), fraction(float(scales[3]))))


def read_sized(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, Array]
) -> tuple[Resizing, str] | None:
    """Return what a Resize to the size of the network's input, or whole times that, does if integers can do it, and the
    name of the tensor whose size is taken; None for any other node. Its sizes are ``Concat([1, C], Shape(tensor,
    start=2, end=4))``, with a Mul by two equal numbers behind the Shape where that is not 1.
    """
    if node.op_type != "Resize" or len(node.input) != 4 or node.input[2]:
        return None
    join = makers.get(node.input[3])
    if join is None or join.op_type != "Concat" or len(join.input) != 2 or join.input[0] not in constants:
        return None
    maker, times = makers.get(join.input[1]), 1
    if maker is not None and maker.op_type == "Mul" and (found := constants.get(maker.input[1])) is not None:
        maker, times = makers.get(maker.input[0]), int(found.reshape(-1)[0])
    span = attributes(maker) if maker is not None and maker.op_type == "Shape" else {}
    sampling = read_sampling(attributes(node))
    if maker is None or sampling is None or (span.get("start"), span.get("end")) != (2, 4):
        return None
    resizing = resizing_of(sampling, None, times)
    return None if resizing is None else (resizing, maker.input[0])


def resizing_of(sampling: Sampling, factors: tuple[Fraction, Fraction] | None, picture: int = 1) -> Resizing | None:
    """Return these together, if integers can do it."""
    if sampling.mode == "cubic" and abs(sampling.alpha) > _STEEPEST:
        return None
    return Resizing(sampling, factors, picture)


def places(coordinates: str, x: Integers, size: int, out: int, factor: Fraction) -> tuple[Integers, int]:
    """Return where outputs ``x`` lie among ``size`` inputs, of which ``out`` are made: numerators, a denominator."""
    n, d = factor.numerator, factor.denominator
    if coordinates == "align_corners":
        return (x * (size - 1), out - 1) if out > 1 else (x * 0, 1)
    if coordinates == "asymmetric":
        return x * d, n
    if coordinates == "tf_half_pixel_for_nn":
        return (2 * x + 1) * d, 2 * n
    half = (2 * x + 1) * d - n
    if coordinates == "half_pixel_symmetric":
        half = half + (size * n - out * d)
    elif coordinates == "pytorch_half_pixel" and out == 1:
        half = half * 0
    return half, 2 * n


def axis_weights(sampling: Sampling, size: int, out: int, factor: Fraction) -> tuple[Integers, Integers]:
    """Return, for each of ``out`` outputs of an axis of ``size`` inputs, the inputs (out, taps) that it is made of,
    within the picture, and their weights, which add up to `ONE`.
    """
    x = np.arange(out)
    if factor == 1:
        return x[:, None], np.full((out, 1), ONE)
    first, weights = taps(sampling, *places(sampling.coordinates, x, size, out, factor))
    indices = first[:, None] + np.arange(TAPS[sampling.mode])
    if sampling.exclude_outside and sampling.mode == "cubic":
        weights = without(weights, (indices >= 0) & (indices < size))
    return np.clip(indices, 0, size - 1), weights


def taps(sampling: Sampling, place: Integers, denominator: int) -> tuple[Integers, Integers]:
    """Return the first input around each place, and the weights (places, taps) of it and those that follow."""
    if sampling.mode == "nearest":
        twice = 2 * place
        first = {
            "floor": place // denominator,
            "ceil": -(-place // denominator),
            "round_prefer_floor": -((denominator - twice) // (2 * denominator)),
            "round_prefer_ceil": (twice + denominator) // (2 * denominator),
        }[sampling.nearest]
        return first, np.full((len(place), 1), ONE)
    first = place // denominator
    s = ((place - first * denominator) * (2 * ONE) + denominator) // (2 * denominator)
    if sampling.mode == "linear":
        return first, np.stack([ONE - s, s], axis=1)
    u = ONE - s
    a = alpha_of(sampling)
    far, farther = _rounded(a * s * u * u), _rounded(a * u * s * s)
    near = _rounded((a + 2 * ONE) * s**3 - (a + 3 * ONE) * s * s * ONE + ONE**4)
    return first - 1, np.stack([far, near, ONE - far - near - farther, farther], axis=1)


def alpha_of(sampling: Sampling) -> int:
    """Return the cubic kernel's parameter in parts of `ONE`."""
    return round(sampling.alpha * ONE)


def without(weights: Integers, inside: NDArray[np.bool_]) -> Integers:
    """Return weights that add up to `ONE` without inputs outside of the picture; the second input makes up for what
    rounding leaves, or the third where that is outside.
    """
    kept = np.where(inside, weights, 0)
    total = kept.sum(axis=1, keepdims=True)
    scaled: Integers = (kept * (2 * ONE) + total) // (2 * total) * inside
    rest = ONE - scaled.sum(axis=1)
    rows = np.arange(len(weights))
    scaled[rows, np.where(inside[:, 1], 1, 2)] += rest
    return scaled


def _rounded(value: Integers) -> Integers:
    """Divide by ``ONE**3``, half up."""
    bits = 3 * WEIGHT_BITS
    return (value + (1 << (bits - 1))) >> bits


@dataclass(frozen=True)
class Phase:
    """One of the outputs that an input becomes, where all inputs become the same.

    Attributes:
        first: the first input that it is made of, as seen from its own.
        weights: of that and of those that follow.
    """

    first: int
    weights: tuple[int, ...]

    @property
    def last(self) -> int:
        """The last input that it is made of."""
        return self.first + len(self.weights) - 1


def phases(resizing: Resizing) -> tuple[Phase, ...]:
    """Return the outputs that every input becomes in each direction; none where factors are not whole, or where weights
    depend on the picture's size or border.
    """
    sampling, factor = resizing.sampling, resizing.whole
    cut = sampling.mode == "cubic" and sampling.exclude_outside
    if factor is None or cut or sampling.coordinates == "align_corners":
        return ()
    x = np.arange(factor)
    first, weights = taps(sampling, *places(sampling.coordinates, x, 2, 2 * factor, Fraction(factor)))
    found = []
    for start, row in zip(first, weights, strict=True):
        used = np.flatnonzero(row)
        found.append(Phase(int(start + used[0]), tuple(int(w) for w in row[used[0] : used[-1] + 1])))
    return tuple(found)
