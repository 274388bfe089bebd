"""Where 16 bits are spent: for what they gain under a budget of work, or as few as keep to a bound on the loss.

A bound costs time only where it is not kept anyway: one run over the crops that chose nothing tells. Where it is not,
n tensors of which k are chosen take n + 3 k runs over some crops, and as many over small pictures (see ``widen``); and
all weights are rounded anew once, or once more where something turned out not to be needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import onnx

from toolchain.images.metrics import decibels
from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.crops import HeldOut
from toolchain.quantize.drop import PsnrDrop
from toolchain.quantize.fidelity import OutputLoss, Part, find_culprits, write_variant
from toolchain.quantize.loss import Comparison, enough
from toolchain.quantize.mixed import Finer, pieces
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.ranking import rank_channels
from toolchain.quantize.recipe import BoundRecipe, BudgetRecipe, SparedRecipe, TradeRecipe, WideRecipe
from toolchain.quantize.widen import LEAST, affordable, choose_wide, keep_gains
from toolchain.support.errors import ModelError
from toolchain.support.progress import Stages, Tell, part_of, untold

_ALL = 100.0
"""Percent: what 16 bits everywhere add to the multiply-accumulates."""
_CHOOSING, _ROUNDING = "choosing tensors for 16 bits", "rounding weights again"
_ROUNDS = 2
"""How often weights are rounded for what is chosen, before and after what is not needed is given back."""
_ATTEMPTS = ((1.0, 10.0), (1.0, _ALL), (0.8, _ALL), (0.5, _ALL))
"""The parts of a bound that are aimed at when tensors are chosen, and percent of work that may be spent. In codes, a
network loses more or less than expected; and little that is cheap may do in place of the best that is expensive."""
_PROMISING = 1.5
"""A multiple of the bound: where more is lost with what is cheap, rounding weights for that is not tried."""
_LITTLE = 1e-3
"""The part of the error that a tensor must save where a bound is to be kept: what was not needed is given back."""

Chosen = tuple[WideRecipe, ...]
Pieces = Mapping[str, Sequence[tuple[int, ...]]]
"""Of each tensor the channels that may get 16 bits together, those that count most first."""


@dataclass(frozen=True, eq=False)
class Spent:
    """A network, some of whose tensors may have 16 bits now and some weights fewer than 8, and how they were chosen."""

    network: Rounded
    budget: BudgetRecipe | None = None
    bound: BoundRecipe | None = None
    spared: SparedRecipe | None = None
    traded: TradeRecipe | None = None


def within_budget(calibrated: Calibrated, found: Rounded, budget: float, progress: Tell = untold) -> Spent:
    """Spend at most ``budget`` percent more work on what gains most; ``found``: 8 bits but where the user decided."""
    stages = _stages(progress)
    comparison = Comparison(calibrated.sr, [crop.pixels for crop in calibrated.judges])
    start = calibrated.described(found)
    without = OutputLoss(start, affordable(calibrated.crops.crops, calibrated.sr))
    chosen = choose_tensors(
        calibrated, start, offered_pieces(calibrated, start), budget, without, stages.begin(_CHOOSING)
    )
    tell = stages.begin(_ROUNDING)

    def error(one: Rounded) -> float:
        return comparison.mean(comparison.errors(one.model))

    @cache
    def widened(count: int) -> Rounded:
        return min(_widened(calibrated, chosen[:count], found, tell), key=error) if count else found

    best, chosen = keep_gains(chosen, widened, error)
    before, after = (decibels(error(one)) for one in (found, best))
    return Spent(best, budget=BudgetRecipe(budget, _spent(chosen), before, after, chosen))


def within_loss(
    calibrated: Calibrated,
    found: Rounded,
    bound: float,
    budget: float | None = None,
    *,
    demanded: bool = True,
    progress: Tell = untold,
) -> Spent:
    """Spend as little as keeps the loss of PSNR within ``bound`` dB; where nothing does, what loses least.

    Args:
        calibrated: the network.
        found: the same with 8 bits but where the user decided.
        bound: in dB, see `PsnrDrop`.
        budget: percent of multiply-accumulates that may be added at most; None: as many as there are.
        demanded: whether somebody asked for the bound.
        progress: is told how far it is.
    """
    judge, judges = calibrated.drop, calibrated.judges
    before = judge(found.model)
    if before <= bound:
        return Spent(found, bound=BoundRecipe(bound, before, before, 0.0, (), (), budget, demanded))
    others = enough([HeldOut(pixels, index) for index, pixels in enumerate(calibrated.crops.crops)])
    choice = PsnrDrop(calibrated.sr, others)

    def lost(network: onnx.ModelProto) -> float:
        """Return what is lost on the pictures that chose nothing, or on all together, where that is more."""
        here, there = judge(network), choice(network)
        return max(here, (here * len(judges) + there * len(others)) / len((*judges, *others)))

    def good(one: Rounded) -> bool:
        return lost(one.model) <= bound

    def error(quantized: Collection[Part]) -> float:
        return chooser.expected(write_variant(start, frozenset(quantized)))

    start = calibrated.described(found)
    chooser = PsnrDrop(calibrated.sr, affordable(others, calibrated.sr, len(others)))
    allowed = _ALL if budget is None else budget
    best = found
    chosen: Chosen = ()
    attempts = list(dict.fromkeys((margin, min(most, allowed)) for margin, most in _ATTEMPTS))
    try:
        together = offered_pieces(calibrated, start)
        for index, (margin, most) in enumerate(attempts):
            stages = _stages(part_of(progress, index, len(attempts)))
            losses: list[float] = []

            def suffices(
                quantized: Collection[Part], limit: float = margin * bound, losses: list[float] = losses
            ) -> bool:
                losses.append(lost(write_variant(start, frozenset(quantized))))
                return losses[-1] <= limit

            offered = choose_tensors(
                calibrated, start, together, most, error, stages.begin(_CHOOSING), suffices, _LITTLE
            )
            if most < allowed and losses[-1] > _PROMISING * bound:
                continue
            made, left = _settled(calibrated, offered, found, judge, good, stages.begin(_ROUNDING))
            if lost(made.model) < lost(best.model):
                best, chosen = made, left
            if good(best) or (most == allowed and losses[-1] > margin * bound):
                break  # it is good enough, or nothing is left to choose
    except ModelError:  # some operator cannot be expressed where there are 16 bits
        if demanded:
            raise
        best = found
    after = judge(best.model)
    if after >= before:
        best, chosen, after = found, (), before
    culprits = _culprits(calibrated, best) if after > bound else ()
    kept = BoundRecipe(bound, before, after, _spent(chosen), chosen, culprits, budget, demanded)
    return Spent(best, bound=kept)


def _settled(
    calibrated: Calibrated,
    chosen: Chosen,
    best: Rounded,
    judge: Callable[[onnx.ModelProto], float],
    good: Callable[[Rounded], bool],
    progress: Tell,
) -> tuple[Rounded, Chosen]:
    """Return the network with the weights that are best for what is chosen, and what of that is left when all has been
    given back that is not needed.
    """
    for count in range(_ROUNDS if chosen else 0):
        tell = part_of(progress, count, _ROUNDS)
        best = min(_widened(calibrated, chosen, best, tell), key=lambda one: judge(one.model))
        fewer = _pruned(calibrated, chosen, best, good)
        if fewer == chosen:
            break
        chosen, best = fewer, calibrated.rewritten(finer_of(calibrated, fewer), best)
    return best, chosen


def _stages(progress: Tell) -> Stages:
    return Stages(progress, {_CHOOSING: 1.0, _ROUNDING: 1.0})


def _never(quantized: Collection[Part]) -> bool:
    return False


def choose_tensors(
    calibrated: Calibrated,
    start: QuantizedModel,
    together: Pieces,
    budget: float,
    error: Callable[[Collection[Part]], float],
    progress: Tell,
    suffices: Callable[[Collection[Part]], bool] = _never,
    least: float = LEAST,
) -> Chosen:
    """Return the tensors of 16 bits that gain most within ``budget`` percent more work, see `choose_wide`."""
    judges = [crop.pixels for crop in calibrated.judges]
    decided = frozenset(calibrated.bits)
    return choose_wide(start, calibrated.plan, budget, decided, error, judges, suffices, least, progress, together)


def offered_pieces(calibrated: Calibrated, start: QuantizedModel) -> Pieces:
    """Return which channels of each tensor may get 16 bits together, see `pieces`."""
    decided = frozenset(calibrated.bits)
    offered = [site for name, site in calibrated.sites.items() if calibrated.plan.group[name] not in decided]
    return {name: pieces(order) for name, order in rank_channels(start, offered, calibrated.crops.crops).items()}


def _widened(calibrated: Calibrated, chosen: Chosen, like: Rounded, progress: Tell) -> list[Rounded]:
    """Return the network with the weights that it had, which gain what was expected, and with weights rounded anew,
    which suit what they read, but may suit the crops too well.
    """
    made = [calibrated.rewritten(finer_of(calibrated, chosen), like)]
    with suppress(ModelError):  # other weights may be too large for codes of 16 bits
        made.append(calibrated.rounded(finer_of(calibrated, chosen), progress))
    return made


def _pruned(calibrated: Calibrated, chosen: Chosen, like: Rounded, good: Callable[[Rounded], bool]) -> Chosen:
    """Return what is left of the choices without those, the most expensive first, that turn out not to be needed with
    the weights that ``like`` has.
    """
    if not good(like):
        return chosen
    for item in sorted(chosen, key=lambda item: -item.macs):
        fewer = tuple(other for other in chosen if other != item)
        if good(calibrated.rewritten(finer_of(calibrated, fewer), like)):
            chosen = fewer
    return chosen


def _culprits(calibrated: Calibrated, best: Rounded) -> tuple[str, ...]:
    pictures = affordable([crop.pixels for crop in calibrated.judges], calibrated.sr)
    plan = calibrated.plan
    # The output's rounding to pixels is everybody's, the float network's too.
    inner = find_culprits(
        calibrated.described(best), pictures, lambda part: plan.group.get(part.name) not in plan.pinned
    )
    return tuple(str(part) for part, _ in inner)


def finer_of(calibrated: Calibrated, chosen: Chosen) -> Finer:
    """Return the tensors that were chosen, and which of their channels; None: all."""
    found: dict[str, tuple[int, ...] | None] = {}
    for item in chosen:
        together = (*(found.get(item.name) or ()), *item.channels)
        all_of_them = not together or len(together) == calibrated.sites[item.name].channels
        found[item.name] = None if all_of_them else tuple(sorted(together))
    return found


def _spent(chosen: Chosen) -> float:
    return sum(item.macs for item in chosen)
