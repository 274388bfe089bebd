"""The codes that weights of a convolution may become: int8, fewer bits, or places in a codebook of int8 numbers.

Kernels multiply by int8 whatever the set is: codes of fewer bits are int8 numbers of which few are used. A codebook is
fitted to the weights of one layer, in steps of each channel's scale, by k-means weighted with what an error costs;
our reading of ClusterQAT (arXiv 2402.07200), without its training. Without a codebook a few weights of each output may
have all of int8, so that its scale suits the others: see ``outliers``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.nested_bits import MOST
from toolchain.reference.graph import Array
from toolchain.reference.pairs import LIMIT, PAIR, Reals, code_limits, least_scale, single_limits
from toolchain.support.errors import CalibrationError

LARGEST_BOOK: Final = 6
"""Bits: more entries than these would be nearly all numbers that any two neighbours may have."""
MOST_OUTLIERS: Final = 8
"""Of one output."""
_ENTRY = PAIR // 2
"""No entry is larger, so that any two are safe side by side (see ``reference.pairs``)."""
_ROUNDS, _SETTLED = 60, 1e-3
_FULL = (8, 0.72)  # scales tried for each channel, and the smallest of them as a part of the least that saturates none
_FEW = (16, 0.5)
_BOOK = (9, 1.15, 0.75)
_DEVIATIONS = {2: 0.996, 3: 0.586}
"""Steps of so many bits in standard deviations of what is rounded; the table of UniQ (arXiv 2104.00210)."""
_AROUND = (0.8, 1.0, 1.25)


@dataclass(frozen=True)
class CodeSet:
    """What codes there are.

    Attributes:
        bits: of a code, or of a place in the codebook.
        codebook: whether they are from one.
        book: its int8 numbers in order; empty before it is fitted, and without one.
        outliers: weights of an output, the largest, that have all of int8, in the others' scale; not with a codebook.
        most_outliers: how many there may be.
    """

    bits: int = MOST
    codebook: bool = False
    book: tuple[int, ...] = ()
    outliers: int = 0
    most_outliers: int = 0

    @property
    def limit(self) -> int:
        """No code is larger, but an outlier's."""
        return _ENTRY if self.codebook else min(int(2 ** (self.bits - 1)) - 1, LIMIT)

    @property
    def largest(self) -> int:
        """No code whatever is larger."""
        return LIMIT if self.outliers else self.limit

    @property
    def free(self) -> bool:
        """Whether any two codes are safe side by side, and all have one limit."""
        return not self.outliers and 2 * max(map(abs, self.book), default=self.limit) <= PAIR

    def least_scale(self, weights: Reals) -> Reals:
        """Return the smallest scales (O,) at which no weight (O, I, kh, kw) saturates and none gives way to another."""
        if self.free:
            scale: Reals = np.abs(weights).max(axis=(1, 2, 3), initial=0.0) / self.limit
            return scale
        return np.maximum(self._body(weights) / self.limit, least_scale(weights))

    def limits(self, steps: Reals) -> tuple[Reals, Reals]:
        """Return the smallest and the largest code that each weight, in steps of its scale, may become."""
        if self.free:
            return np.full(steps.shape, -float(self.limit)), np.full(steps.shape, float(self.limit))
        largest = self._largest(steps)
        low, high = code_limits(np.clip(steps, -largest, largest))
        return np.maximum(low, -largest), np.minimum(high, largest)

    def nearest(self, steps: Reals, low: Reals, high: Reals) -> Reals:
        """Return the nearest code to each weight within limits."""
        if not self.codebook:
            codes: Reals = np.minimum(np.maximum(np.rint(steps), low), high)
            return codes
        book = np.array(self.book, np.float64)
        places = np.searchsorted((book[1:] + book[:-1]) / 2, steps)
        return book[places]

    def rounded(self, steps: Reals) -> NDArray[np.int8]:
        """Return the nearest code to each weight (O, I, kh, kw), in steps of its scale, every pair safe."""
        codes: NDArray[np.int8] = self.nearest(steps, *self.limits(steps)).astype(np.int8)
        return codes

    def neighbours(self, codes: Reals) -> tuple[Reals, Reals]:
        """Return the next smaller and the next larger code of each, if all others stay; its own where there is none."""
        if self.codebook:
            book = np.array(self.book, np.float64)
            places = np.searchsorted(book, codes)
            return book[np.maximum(places - 1, 0)], book[np.minimum(places + 1, len(book) - 1)]
        largest = self._largest(codes)
        low, high = (-largest, largest) if self.free else single_limits(codes)
        low, high = np.maximum(low, -largest), np.minimum(high, largest)
        return np.where(codes > low, codes - 1, codes), np.where(codes < high, codes + 1, codes)

    def scales_to_try(self, weights: Reals) -> list[NDArray[np.float32]]:
        """Return scales (O,) among which the best for each output of ``weights`` (O, I, kh, kw) is likely to be."""
        tiny = np.finfo(np.float32).tiny * 2.0**24
        widest = np.maximum(self.least_scale(weights), tiny)
        if self.codebook:
            count, first, last = _BOOK
            return [(widest * factor).astype(np.float32) for factor in np.linspace(first, last, count)]
        count, shrunk = _FULL if self.bits == MOST else _FEW
        finest = np.maximum(self._body(weights) * (shrunk / self.limit), tiny)
        if self.outliers:
            finest = np.maximum(finest, least_scale(weights))
        tried = [widest * (finest / widest) ** part for part in np.linspace(0.0, 1.0, count)]
        if self.bits in _DEVIATIONS:
            spread = _DEVIATIONS[self.bits] * self._deviation(weights)
            tried += [np.maximum(spread * factor, tiny) for factor in _AROUND]
        return [scale.astype(np.float32) for scale in tried]

    def _body(self, weights: Reals) -> Reals:
        """Return the largest magnitude (O,) of the weights (O, I, kh, kw) that are no outliers."""
        largest: Reals = self._magnitudes(weights).max(axis=1, initial=0.0)
        return largest

    def _deviation(self, weights: Reals) -> Reals:
        """Return the root of the mean square (O,) of the same."""
        magnitudes = self._magnitudes(weights)
        deviation: Reals = np.sqrt((magnitudes**2).sum(axis=1) / max(magnitudes.shape[1], 1))
        return deviation

    def _magnitudes(self, weights: Reals) -> Reals:
        """Return the magnitudes (O, n) of those that are no outliers."""
        magnitudes = np.sort(np.abs(weights).reshape(len(weights), -1), axis=1)
        return magnitudes[:, : max(magnitudes.shape[1] - self.outliers, 0)]

    def _largest(self, steps: Reals) -> Reals:
        """Return the largest magnitude that the code of each weight may have, whatever its neighbours' are."""
        magnitudes = np.abs(steps).reshape(len(steps), -1)
        largest = np.full(magnitudes.shape, float(self.limit))
        if self.outliers:
            np.put_along_axis(largest, places_of_largest(magnitudes, self.outliers), float(LIMIT), axis=1)
        return largest.reshape(steps.shape)

    def fitted(self, weights: Reals, importance: Reals | float = 1.0) -> CodeSet:
        """Return the set with a codebook for ``weights`` (O, I, kh, kw); itself where it has no codebook.

        ``importance``: what a squared error of each weight costs; broadcasts to them.
        """
        if not self.codebook:
            return self
        full = np.maximum(self.least_scale(weights), np.finfo(np.float32).tiny * 2.0**24).reshape(-1, 1, 1, 1)
        costs = np.broadcast_to(importance * full**2, weights.shape)
        return replace(self, book=_fit((weights / full).ravel(), costs.ravel(), 2**self.bits))

    def around(self, _steps: Reals) -> CodeSet:
        """Return the set with what it knows of where the weights are, in steps of their scales."""
        return self

    def part(self, _outputs: slice) -> CodeSet:
        """Return the set of some of the weights' outputs."""
        return self

    def used(self, codes: Array) -> CodeSet:
        """Return the set with just the entries that ``codes`` use, where it has a codebook; with more bits where these
        are too many for its own.
        """
        if not self.codebook:
            return self
        book = tuple(int(code) for code in np.unique(codes))
        return replace(self, book=book, bits=max(self.bits, (len(book) - 1).bit_length()))


ALL = CodeSet()
"""All of int8."""


def codes_of_bits(bits: int, *, codebook: bool, outliers: bool) -> CodeSet:
    """Return the set of codes of so many bits; where these are few, by a codebook, or with outliers where that pays."""
    few = bits <= LARGEST_BOOK
    return CodeSet(bits, codebook and few, most_outliers=MOST_OUTLIERS if outliers and few and not codebook else 0)


def places_of_largest(rows: Array, count: int) -> NDArray[np.intp]:
    """Return where the ``count`` largest magnitudes of each row (O, K) are, (O, count), in order."""
    return np.sort(np.argsort(-np.abs(rows), axis=1, kind="stable")[:, :count], axis=1)


def check_codes(name: str, wanted: CodeSet, size: int) -> None:
    """Raise CalibrationError where a layer of ``size`` weights cannot have such codes."""
    if wanted.codebook and 2**wanted.bits > size:
        raise CalibrationError(
            f"a codebook of {2**wanted.bits} entries is larger than '{name}', which has {size} weights",
            hint=f"say --weight-bits '{name}=8' too, or fewer bits",
        )


def _fit(values: Reals, importance: Reals, entries: int) -> tuple[int, ...]:
    """Return at most ``entries`` whole numbers for ``values``: quantiles first, then Lloyd's steps."""
    order = np.argsort(values, kind="stable")
    importance = importance + max(float(importance.sum()), 1e-30) * 1e-12
    mass = np.cumsum(importance[order])
    book = np.interp((np.arange(entries) + 0.5) / entries, mass / mass[-1], values[order])
    book[0], book[-1] = values.min(), values.max()
    for _ in range(_ROUNDS):
        member = np.searchsorted((book[1:] + book[:-1]) / 2, values)
        total = np.bincount(member, importance, entries)
        mean = np.bincount(member, importance * values, entries) / np.maximum(total, 1e-300)
        moved = np.sort(np.where(total > 0, mean, book))
        settled = np.abs(moved - book).max() < _SETTLED
        book = moved
        if settled:
            break
    return tuple(int(entry) for entry in np.unique(np.clip(np.rint(book), -_ENTRY, _ENTRY)))
