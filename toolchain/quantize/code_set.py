"""The codes that weights of a convolution may become: int8, fewer bits, or places in a codebook of int8 numbers.

Kernels multiply by int8 whatever the set is: codes of fewer bits are int8 numbers of which few are used. A codebook is
fitted to the weights of one layer, in steps of each channel's scale, by k-means weighted with what an error costs;
our reading of ClusterQAT (arXiv 2402.07200), without its training.
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
_ENTRY = PAIR // 2
"""No entry is larger, so that any two are safe side by side (see ``reference.pairs``)."""
_ROUNDS, _SETTLED = 60, 1e-3
_FULL = (8, 0.72)  # scales tried for each channel, and the smallest of them as a part of the least that saturates none
_FEW = (16, 0.5)
_BOOK = (9, 1.15, 0.75)


@dataclass(frozen=True)
class CodeSet:
    """What codes there are.

    Attributes:
        bits: of a code, or of a place in the codebook.
        codebook: whether they are from one.
        book: its int8 numbers in order; empty before it is fitted, and without one.
    """

    bits: int = MOST
    codebook: bool = False
    book: tuple[int, ...] = ()

    @property
    def limit(self) -> int:
        """No code is larger."""
        return _ENTRY if self.codebook else min(int(2 ** (self.bits - 1)) - 1, LIMIT)

    @property
    def free(self) -> bool:
        """Whether any two codes are safe side by side."""
        return 2 * max(map(abs, self.book), default=self.limit) <= PAIR

    def least_scale(self, weights: Reals) -> Reals:
        """Return the smallest scales (O,) at which no weight (O, I, kh, kw) saturates and none gives way to another."""
        if not self.free:
            return least_scale(weights)
        scale: Reals = np.abs(weights).max(axis=(1, 2, 3), initial=0.0) / self.limit
        return scale

    def limits(self, steps: Reals) -> tuple[Reals, Reals]:
        """Return the smallest and the largest code that each weight, in steps of its scale, may become."""
        if not self.free:
            return code_limits(steps)
        return np.full(steps.shape, -float(self.limit)), np.full(steps.shape, float(self.limit))

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
        low, high = self.limits(codes) if self.free else single_limits(codes)
        return np.where(codes > low, codes - 1, codes), np.where(codes < high, codes + 1, codes)

    def scales_to_try(self, weights: Reals) -> list[NDArray[np.float32]]:
        """Return scales (O,) among which the best for each output of ``weights`` (O, I, kh, kw) is likely to be."""
        tiny = np.finfo(np.float32).tiny * 2.0**24
        widest = np.maximum(self.least_scale(weights), tiny)
        if self.codebook:
            count, first, last = _BOOK
            return [(widest * factor).astype(np.float32) for factor in np.linspace(first, last, count)]
        count, shrunk = _FULL if self.bits == MOST else _FEW
        finest = np.maximum(np.abs(weights).max(axis=(1, 2, 3), initial=0.0) * (shrunk / self.limit), tiny)
        return [(widest * (finest / widest) ** part).astype(np.float32) for part in np.linspace(0.0, 1.0, count)]

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
