"""Which level each of many items gets under bounds of cost: steps that lose least for what they save come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """What an item may be.

    Attributes:
        bits: of its weights.
        loss: that it makes, in any unit.
        costs: by kind.
    """

    bits: int
    loss: float
    costs: Mapping[str, float]


def choose_levels(
    items: Mapping[str, Sequence[Level]], fixed: Mapping[str, float], limits: Mapping[str, float]
) -> dict[str, Level] | None:
    """Return a level of each item, such that all keep the limits and lose little; None where that is not found.

    Greedy by loss for cost saved, along the lower convex hull of each item's levels; then as much is taken back as the
    limits leave room for, what loses most first. Costs of several kinds are added up in parts of their limits.

    Args:
        items: their levels by name, what loses least first.
        fixed: what everything else costs, by kind.
        limits: by kind; kinds without one may cost anything.
    """
    chosen = {name: levels[0] for name, levels in items.items()}
    steps = [step for name, levels in items.items() for step in _steps(name, levels, limits)]
    for _, name, level in sorted(steps, key=lambda step: step[:2]):
        if _kept(chosen, fixed, limits):
            break
        chosen[name] = level
    if not _kept(chosen, fixed, limits):
        chosen = {name: min(levels, key=lambda level: _price(level, limits)) for name, levels in items.items()}
        if not _kept(chosen, fixed, limits):
            return None
    for name in sorted(chosen, key=lambda name: (-chosen[name].loss, name)):
        better = [level for level in items[name] if level.loss < chosen[name].loss]
        fitting = [level for level in better if _kept({**chosen, name: level}, fixed, limits)]
        chosen[name] = min(fitting, key=lambda level: level.loss, default=chosen[name])
    return chosen


def _kept(chosen: Mapping[str, Level], fixed: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    return all(
        fixed[kind] + sum(level.costs[kind] for level in chosen.values()) <= limit for kind, limit in limits.items()
    )


def _price(level: Level, limits: Mapping[str, float]) -> float:
    return sum(level.costs[kind] / (limit or 1.0) for kind, limit in limits.items())


def _steps(name: str, levels: Sequence[Level], limits: Mapping[str, float]) -> list[tuple[float, str, Level]]:
    """Return the levels on an item's hull after the first, each with what it loses for what it saves."""
    priced = [(_price(level, limits), level) for level in levels]
    cost, now = priced[0]
    found: list[tuple[float, str, Level]] = []
    while cheaper := [one for one in priced if one[0] < cost]:
        slopes = [((level.loss - now.loss) / (cost - price), price, level) for price, level in cheaper]
        slope, cost, now = min(slopes, key=lambda one: one[:2])
        found.append((slope, name, now))
    return found
