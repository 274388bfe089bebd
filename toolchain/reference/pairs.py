"""Weights whose products fit into 16 bits two by two, for processors that add them up so.

x86 without VNNI multiplies by ``vpmaddubsw``: the products of two neighbouring u8 codes with their s8 weights are added
in signed 16 bits, and what does not fit saturates. So no two neighbouring weights of an output channel have the same
sign and magnitudes of more than ``PAIR`` together: 255 * 128 fits.

Which weights are neighbours is the program's choice; see docs/decisions for how it was found out. Here: channels of one
tap, and the last channel of a tap and the first of the next, along rows and along columns; where an output reads one
channel, as in depthwise convolutions, those are simply taps.

Weights are (O, I, kh, kw) everywhere in this module, I being the channels that one output reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.reference.graph import Array

LIMIT: Final = 127
"""No weight is larger than this."""
PAIR: Final = 128
"""No two neighbours of one sign are larger than this together."""
_ORDERS: Final = ((0, 2, 3, 1), (0, 3, 2, 1))  # of the axes; what then stands side by side are neighbours

Reals: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """How large codes may be.

    Attributes:
        limit: of one.
        below: of two neighbours below 0 together.
        above: of two neighbours above 0 together.
    """

    limit: int = LIMIT
    below: int = PAIR
    above: int = PAIR


WHOLE: Final = Rule()
"""For codes of 8 bits."""


def least_scale(weights: Reals, rule: Rule = WHOLE) -> Reals:
    """Return the smallest scales (O,) at which no weight and no two neighbours exceed their limits."""
    scale: Reals = np.abs(weights).max(axis=(1, 2, 3), initial=0.0) / rule.limit
    return np.maximum(scale, largest_pairs(weights) / min(rule.below, rule.above))


def code_limits(steps: Reals, rule: Rule = WHOLE) -> tuple[Reals, Reals]:
    """Return the smallest and the largest code that each weight may become, whatever the others become within their
    own.

    What two neighbours of one sign leave of what they may have together, or exceed it by, is shared equally between
    them.

    Args:
        steps: the weights in steps of their scales.
        rule: how large codes may be.

    Returns:
        low and high, whole numbers of the same shape.
    """

    def half(pair: int) -> Callable[[Reals, Reals], Reals]:
        # The other's is the pair's less this, for rint is odd about whole numbers; about others, neither gets a half.
        rounded = np.floor if pair % 2 else np.rint

        def limit(own: Reals, other: Reals) -> Reals:
            shared: Reals = rounded((pair + own - other) / 2)
            return shared

        return limit

    return -_largest_codes(-steps, half(rule.below), rule), _largest_codes(steps, half(rule.above), rule)


def single_limits(codes: Reals, rule: Rule = WHOLE) -> tuple[Reals, Reals]:
    """Return the smallest and the largest code that each weight may become if all others stay what they are."""

    def rest(pair: int) -> Callable[[Reals, Reals], Reals]:
        return lambda own, other: pair - other

    return -_largest_codes(-codes, rest(rule.below), rule), _largest_codes(codes, rest(rule.above), rule)


def round_safely(steps: Reals) -> NDArray[np.int8]:
    """Return the nearest code to each weight, in steps of its scale, within ``code_limits``."""
    codes: NDArray[np.int8] = np.clip(np.rint(steps), *code_limits(steps)).astype(np.int8)
    return codes


def largest_pairs(weights: Array) -> Reals:
    """Return the largest magnitude of two neighbours of one sign together, or of a weight alone, in each output
    (O,).
    """
    wide = weights.astype(np.float64)
    largest: Reals = np.abs(wide).max(axis=(1, 2, 3), initial=0.0)
    for axes in _ORDERS:
        laid = wide.transpose(axes).reshape(len(wide), -1)
        for values in (np.maximum(laid, 0.0), np.maximum(-laid, 0.0)):
            largest = np.maximum(largest, (values[:, :-1] + values[:, 1:]).max(axis=1, initial=0.0))
    return largest


def _largest_codes(steps: Reals, limit: Callable[[Reals, Reals], Reals], rule: Rule) -> Reals:
    """Return the least of the limits that a weight has beside its neighbours; ``limit`` of its own and another's
    magnitude.
    """
    positive = np.clip(steps, 0.0, rule.limit)
    largest = np.full(steps.shape, float(rule.limit))
    for axes in _ORDERS:
        moved = largest.transpose(axes)
        laid, values = (one.reshape(len(steps), -1) for one in (moved, positive.transpose(axes)))
        before, after = values[:, :-1], values[:, 1:]
        laid[:, :-1] = np.minimum(laid[:, :-1], limit(before, after))
        laid[:, 1:] = np.minimum(laid[:, 1:], limit(after, before))
        largest = laid.reshape(moved.shape).transpose(np.argsort(axes))
    return largest
