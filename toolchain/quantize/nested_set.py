"""The codes that weights of nested networks may become: those of the fewest bits first, then finer ones in their cells.

Every code of fewer bits leaves a cell of codes to the member of more, those that are cut to it. So the smallest member
is rounded as if it were alone, and each further one as well as its cells allow. MatGPTQ instead takes each code for all
members at once, by the sum of their errors; measured, that lost far more (docs/decisions/0086).

Where the first member has 8 bits, its pairs must be safe (see `toolchain.reference.pairs`). Cells of codes below 0
reach farther from 0 than others, by one: two of one sign have together less by that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.nested_bits import MOST, Nesting
from toolchain.quantize.code_set import CodeSet
from toolchain.reference.pairs import WHOLE, Reals, Rule, code_limits, least_scale, single_limits

_REACH = 0.7
"""Steps. Rounding that lets errors cancel moves codes away from their weights, and with them the cells in which finer
codes are then looked for: as far as a step and more where nothing holds them."""


@dataclass(frozen=True, eq=False)
class NestedSet(CodeSet):
    """The codes of one member of a nest.

    Attributes:
        rule: how large they may be, so that the first member's pairs are safe; None where all are.
        cells: the smallest and the largest code of each weight (O, I, kh, kw) that the member of fewer bits leaves;
            None for that of the fewest.
        reach: how many steps a code may be from its weight; without a bound, cells end up where weights are not.
    """

    rule: Rule | None = None
    cells: tuple[Reals, Reals] | None = None
    reach: float = np.inf

    @property
    def free(self) -> bool:
        """Whether any two codes are safe side by side."""
        return self.rule is None

    def least_scale(self, weights: Reals) -> Reals:
        """Return the smallest scales (O,) at which no weight (O, I, kh, kw) saturates and none gives way to another."""
        return super().least_scale(weights) if self.rule is None else least_scale(weights, self.rule)

    def limits(self, steps: Reals) -> tuple[Reals, Reals]:
        """Return the smallest and the largest code that each weight, in steps of its scale, may become."""
        if self.cells is None:
            low, high = super().limits(steps) if self.rule is None else code_limits(steps, self.rule)
            near = np.clip(steps, low, high)
            return np.maximum(low, np.ceil(near - self.reach)), np.minimum(high, np.floor(near + self.reach))
        if self.rule is None:
            return self.cells
        low, high = code_limits(np.clip(steps, *self.cells), self.rule)
        return np.maximum(low, self.cells[0]), np.minimum(high, self.cells[1])

    def around(self, steps: Reals) -> NestedSet:
        """Return the set with the limits that it has around weights in steps of their scales, for `neighbours`."""
        return self if self.cells is not None else replace(self, cells=self.limits(steps))

    def neighbours(self, codes: Reals) -> tuple[Reals, Reals]:
        """Return the next smaller and the next larger code of each, if all others stay; its own where there is none."""
        low, high = super().limits(codes) if self.rule is None else single_limits(codes, self.rule)
        if self.cells is not None:
            low, high = np.maximum(low, self.cells[0]), np.minimum(high, self.cells[1])
        return np.where(codes > low, codes - 1, codes), np.where(codes < high, codes + 1, codes)

    def part(self, outputs: slice) -> NestedSet:
        """Return the set of some of the weights' outputs."""
        if self.cells is None:
            return self
        return replace(self, cells=(self.cells[0][outputs], self.cells[1][outputs]))


def fewest_bits(nesting: Nesting) -> NestedSet:
    """Return the codes of the member of the fewest bits."""
    bits = nesting.bits[-1]
    return NestedSet(bits, rule=_rule(nesting, bits), reach=_REACH)


def within(nesting: Nesting, bits: int, fewer: NDArray[np.int8], shift: int) -> NestedSet:
    """Return the codes of a member in the cells of another's ``fewer`` (O, I, kh, kw), of ``shift`` bits less."""
    low = fewer.astype(np.float64) * (1 << shift) - (1 << (shift - 1))
    return NestedSet(bits, rule=_rule(nesting, bits), cells=(low, low + (1 << shift) - 1))


def _rule(nesting: Nesting, bits: int) -> Rule | None:
    if nesting.bits[0] < MOST:
        return None
    pair = 1 << (bits - 1)
    return WHOLE if bits == MOST else Rule(pair - 1, pair - 1, pair)
