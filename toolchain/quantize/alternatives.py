"""What bits of weights and activations there are to choose from, what each choice costs, and what it may lose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolchain.quantize.budgets import CostBound
from toolchain.quantize.calibrated import Calibrated
from toolchain.quantize.costs import ConvCost, costs_of, describe_costs, plain_costs
from toolchain.quantize.knapsack import Level, choose_levels
from toolchain.quantize.sparing import LEVELS, QUARTER, allowed_bits, undecided_sizes
from toolchain.quantize.weight_bits import whole_output
from toolchain.support.errors import CalibrationError


@dataclass(frozen=True)
class Choice:
    """How many of the tensors that are offered have 16 bits, and the bits of weights where these are fewer than 8.

    Attributes:
        wide: of the tensors, in their order, so many.
        bits: by the convolution's output, sorted.
        loss: that is expected, in dB.
    """

    wide: int
    bits: tuple[tuple[str, int], ...]
    loss: float


@dataclass(frozen=True)
class Alternatives:
    """All choices.

    Attributes:
        convolutions: with 8 bits for weights but where they are decided; for none, one, two, ... of the tensors that
            are offered, in their order.
        free: the convolutions whose weights' bits are to be chosen, by whole output.
        codebook: whether few bits are places in codebooks.
        expected: loss in dB that is expected with 8 bits for these, for each of ``convolutions``.
        lowest: loss in dB that each of them makes alone with the fewest bits.
    """

    convolutions: Sequence[Sequence[ConvCost]]
    free: frozenset[str]
    codebook: bool
    expected: Sequence[float]
    lowest: Mapping[str, float]

    @property
    def plain(self) -> dict[str, float]:
        """What 8 bits everywhere cost."""
        return plain_costs(self.convolutions[0])

    def cheapest(self, kind: str) -> float:
        """Return the least that any choice costs."""
        fixed, items = self._items(0)
        return fixed[kind] + sum(min(level.costs[kind] for level in levels) for levels in items.values())

    def dearest(self, kind: str) -> float:
        """Return the most that any choice costs."""
        return max(costs_of(convolutions)[kind] for convolutions in self.convolutions)

    def within(self, limits: Mapping[str, float]) -> list[Choice]:
        """Return the best choice for each number of tensors of 16 bits that keeps the limits, those first that are
        expected to lose least, then those with fewer such tensors.
        """
        found = []
        for wide, loss in enumerate(self.expected):
            fixed, items = self._items(wide)
            chosen = choose_levels(items, fixed, limits)
            if chosen is not None:
                bits = {name: level.bits for name, level in chosen.items() if level.bits < LEVELS[0]}
                more = sum(level.loss for level in chosen.values())
                found.append(Choice(wide, tuple(sorted(bits.items())), loss + more))
        return sorted(found, key=lambda choice: (choice.loss, choice.wide))

    def _items(self, wide: int) -> tuple[dict[str, float], dict[str, list[Level]]]:
        """Return what the other convolutions cost, and the levels of those whose weights' bits are to be chosen."""
        fixed: list[ConvCost] = []
        free: dict[str, list[ConvCost]] = {}
        for one in self.convolutions[wide]:
            name = whole_output(one.output)
            free.setdefault(name, []).append(one) if name in self.free else fixed.append(one)
        return costs_of(fixed), {name: list(self._levels(name, parts)) for name, parts in free.items()}

    def _levels(self, name: str, parts: Sequence[ConvCost]) -> list[Level]:
        size = sum(one.weights for one in parts)
        allowed = allowed_bits(size, codebook=self.codebook)
        lowest = self.lowest.get(name, 0.0)
        return [
            Level(
                bits,
                lowest * (QUARTER ** (allowed[-1] - bits) - QUARTER ** (allowed[-1] - allowed[0])),
                costs_of([one.with_bits(bits, codebook=self.codebook) for one in parts]),
            )
            for bits in allowed
        ]


def undecided(calibrated: Calibrated, convolutions: Sequence[ConvCost]) -> Alternatives:
    """Return the choices among bits of weights before anything is measured.

    Args:
        calibrated: the network.
        convolutions: of it, all weights of 8 bits but where they are decided.
    """
    free = frozenset(undecided_sizes(calibrated))
    return Alternatives([convolutions], free, calibrated.settings.codebook, [0.0], {})


def limit_of(bound: CostBound, plain: Mapping[str, float]) -> float | None:
    """Return the most that may be paid, in bit operations per input pixel or bytes; None: anything."""
    if bound.most is None:
        return None
    return bound.most * plain[bound.kind] / 100 if bound.relative else bound.most


def check_bounds(calibrated: Calibrated) -> None:
    """Raise CalibrationError where no choice of bits keeps one of the bounds that the settings set."""
    bounds = calibrated.settings.costs
    if not bounds:
        return
    quick = replace(calibrated.settings, weights="minmax", reconstruct=False, correct_bias=False)
    start = calibrated.described(replace(calibrated, settings=quick).rounded())
    offered = undecided(calibrated, describe_costs(start))
    for bound in bounds:
        least, limit = offered.cheapest(bound.kind), limit_of(bound, offered.plain)
        if limit is not None and least > limit * (1 + 1e-9):
            most = math.ceil(1e3 * least / offered.plain[bound.kind]) / 10 if bound.relative else math.ceil(least)
            fewer = f"weights get {LEVELS[0]} to {LEVELS[-1]} bits here, and fewer where --weight-bits says so"
            raise CalibrationError(
                f"no choice of bits keeps --budget {bound}: the least is {replace(bound, most=most)}", hint=fewer
            )
