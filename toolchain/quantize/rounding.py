"""Rounds the weights of a convolution together, so that their errors cancel on the inputs that they meet.

One input after another, each error is spread over the weights still to come (optimal brain quantization with a fixed
order; Frantar et al., "GPTQ", ICLR 2023). Limits that keep pairs safe leave errors that nothing after them takes up;
single steps of codes, the best first, then mend what they can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.code_set import ALL, CodeSet
from toolchain.quantize.weights import along
from toolchain.reference.pairs import Reals

_STEPS = 32  # of codes that are tried afterwards, for each output channel


def round_together(
    weights: Reals, power: Reals, fixed: NDArray[np.float32] | None = None, among: CodeSet = ALL
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round ``weights`` (O, I, kh, kw) to codes ``among`` a set so that the error weighed by ``power`` (K, K) is small,
    K = I * kh * kw, and every pair is safe; codes and scales (O,).

    For every output, each of several scales is tried, or the ``fixed`` one (O,) alone; and weights rounded each for
    itself too, which seldom is better. The least ``error @ power @ error`` is kept.
    """
    order = np.argsort(-np.diag(power), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(power[np.ix_(order, order)])).T
    tried = [fixed] if fixed is not None else among.scales_to_try(weights)
    rows = weights.reshape(len(weights), -1)
    codes, scales = np.zeros(rows.shape), tried[0].copy()
    least = np.full(len(rows), np.inf)
    for scale in tried:
        steps = weights / along(scale.astype(np.float64), 0, weights.ndim)
        in_order = _round_in_order(rows, order, upper, scale.astype(np.float64), among, steps)
        for found in (in_order, among.rounded(steps).reshape(rows.shape)):
            error = rows - found * scale[:, None].astype(np.float64)
            loss = np.einsum("ok,kl,ol->o", error, power, error, optimize=True)
            chosen = loss < least
            least[chosen], scales[chosen], codes[chosen] = loss[chosen], scale[chosen], found[chosen]
    fine = scales.astype(np.float64)
    near = among.around(weights / along(fine, 0, weights.ndim))
    better = _step(codes.reshape(weights.shape), weights, power, fine, near)
    return better.astype(np.int8), scales


def round_groups(
    weights: Reals, powers: Sequence[Reals], among: CodeSet = ALL, fixed: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round the weights (O, I, kh, kw) of a convolution of as many groups as ``powers``, each by `round_together`."""
    size = len(weights) // len(powers)
    parts = [slice(number * size, (number + 1) * size) for number in range(len(powers))]
    rounded = [
        round_together(weights[own], power, None if fixed is None else fixed[own], among.part(own))
        for own, power in zip(parts, powers, strict=True)
    ]
    return np.concatenate([codes for codes, _ in rounded]), np.concatenate([scale for _, scale in rounded])


def _round_in_order(
    rows: Reals, order: NDArray[np.intp], upper: Reals, scale: Reals, among: CodeSet, steps: Reals
) -> Reals:
    """Each weight to its nearest code within the limits that all have together, its error passed on to those that
    follow in ``order``. ``steps``: the weights in steps of ``scale``.
    """
    # Inputs first: what is left of those to come lies together.
    together = (rows, *among.limits(steps))
    left, low, high = (np.ascontiguousarray(values.reshape(rows.shape)[:, order].T) for values in together)
    codes, passed_on = np.empty(rows.shape), np.empty(left.shape)
    for k, place in enumerate(order):
        code = among.nearest(left[k] / scale, low[k], high[k])
        codes[:, place] = code
        error = (left[k] - code * scale) / upper[k, k]
        np.multiply(upper[k, k + 1 :, None], error, out=passed_on[k + 1 :])
        left[k + 1 :] -= passed_on[k + 1 :]
    return codes


def _step(codes: Reals, weights: Reals, power: Reals, scale: Reals, among: CodeSet) -> Reals:
    """Move one code of each output to its neighbour, again and again, where that lessens the error most and pairs stay
    safe.
    """
    codes, rows = codes.copy(), weights.reshape(len(weights), -1)
    flat = codes.reshape(rows.shape)
    slope = 2 * scale[:, None] * ((rows - flat * scale[:, None]) @ power)
    curve = scale[:, None] ** 2 * np.diag(power)
    outputs = np.arange(len(rows))
    for _ in range(_STEPS):
        moves = [neighbour.reshape(rows.shape) - flat for neighbour in reversed(among.neighbours(codes))]
        gains = [move * slope - move**2 * curve for move in moves]
        places = [gain.argmax(axis=1) for gain in gains]
        up, down = (gain[outputs, place] for gain, place in zip(gains, places, strict=True))
        place = np.where(up >= down, *places)
        change = np.where(np.maximum(up, down) > 0, np.where(up >= down, *(m[outputs, place] for m in moves)), 0.0)
        if not change.any():
            break
        flat[outputs, place] += change
        slope -= 2 * (scale**2 * change)[:, None] * power[place]
    return codes
