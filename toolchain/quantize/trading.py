"""Bits of weights and of activations together: least loss under bounds of cost, or least cost under one on the loss.

What CGMQ (arXiv 2409.20138) trains gates for; our reading, without training. Tensors are put in the order of what 16
bits gain for what they cost, as ever (see ``widen``): a choice gives 16 bits to so many of the first. What each
convolution loses with the fewest bits for its weights is measured, and what weights get under the bounds is a knapsack
(see ``knapsack``). All of that is rounding in float, on the pictures that choose. Of the best choices the network is
made, and its distance from the float network's pictures, on crops that chose nothing, decides. What it costs is counted
in the network that was made.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from toolchain.quantize.alternatives import Alternatives, Choice, limit_of, undecided
from toolchain.quantize.budgets import BOPS, WORK
from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.costs import ConvCost, costs_of, describe_costs, widened
from toolchain.quantize.crops import HeldOut
from toolchain.quantize.drop import PsnrDrop
from toolchain.quantize.fidelity import Part, write_variant
from toolchain.quantize.loss import enough
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import CostRecipe, TradeRecipe, WideRecipe
from toolchain.quantize.sparing import lowest_losses, with_bits
from toolchain.quantize.spending import Spent, choose_tensors, finer_of, offered_pieces
from toolchain.quantize.widen import LEAST, affordable
from toolchain.support.errors import CalibrationError, ModelError
from toolchain.support.progress import Stages, Tell, untold

_TRIED = 3
"""Choices of which the network is made where the cost is given."""
_HALVINGS = 7
"""How often a range of costs is halved in search of the least."""
_HOPELESS = 5.0
"""A multiple of the bound on the loss: where more is expected, no network is made. Errors are expected to add up, and
they hide each other."""
_ALL = 100.0
"""Percent: what 16 bits everywhere add to the multiply-accumulates."""
_EXACT = 1 + 1e-9
"""Sums of floats are equal that differ by less."""
_PLAIN = Choice(0, (), 0.0)
_ORDERING, _MEASURING, _MAKING = "choosing tensors for 16 bits", "measuring fewer bits", "rounding weights again"


def trade(calibrated: Calibrated, found: Rounded, progress: Tell = untold) -> Spent:
    """Choose bits of weights and activations under the settings' bounds of cost.

    Args:
        calibrated: the network; its settings have bounds of cost.
        found: the same with 8 bits but where the user decided.
        progress: is told how far it is.

    Raises:
        CalibrationError: no choice keeps all bounds.
    """
    stages = Stages(progress, {_ORDERING: 2.0, _MEASURING: 1.0, _MAKING: 4.0})
    start = calibrated.described(found)
    others = enough([HeldOut(pixels, index) for index, pixels in enumerate(calibrated.crops.crops)])
    chooser = PsnrDrop(calibrated.sr, affordable(others, calibrated.sr, len(others)))
    offered = _ordered(calibrated, start, chooser, stages.begin(_ORDERING))
    tell = stages.begin(_MEASURING)
    alternatives = _measured(calibrated, found, describe_costs(start), offered, chooser)
    tell("", 1.0)
    maker = _Maker(calibrated, found, offered, stages.begin(_MAKING))
    limits = _limits(calibrated, alternatives)
    wanted = calibrated.settings.max_loss
    best = _least_loss(alternatives, maker, limits)
    if wanted is not None and maker.loss(best) <= wanted:
        tops = {kind: min(alternatives.dearest(kind), limits.get(kind, math.inf)) for kind in _kinds(calibrated)}
        best = _least_cost(alternatives, maker, tops, best, wanted)
    made = maker.made(best)
    spent = costs_of(describe_costs(calibrated.described(made)))
    plain = alternatives.plain
    costs = tuple(
        CostRecipe(kind, limits.get(kind), alternatives.cheapest(kind), plain[kind], spent[kind])
        for kind in _kinds(calibrated)
    )
    if any(cost.most is not None and cost.spent > cost.most * _EXACT for cost in costs):
        raise AssertionError("a network costs more than was counted")
    before, after = maker.loss(_PLAIN), maker.loss(best)
    return Spent(made, traded=TradeRecipe(costs, before, after, dict(best.bits), offered[: best.wide], wanted))


def _kinds(calibrated: Calibrated) -> tuple[str, ...]:
    settings = calibrated.settings
    return (*(bound.kind for bound in settings.costs), *((WORK,) if settings.budget is not None else ()))


def _limits(calibrated: Calibrated, alternatives: Alternatives) -> dict[str, float]:
    """Return the most that may be paid, by kind, where there is such a bound."""
    settings, plain = calibrated.settings, alternatives.plain
    found: dict[str, float | None] = {bound.kind: limit_of(bound, plain) for bound in settings.costs}
    if settings.budget is not None:
        found[WORK] = alternatives.cheapest(WORK) + settings.budget * plain[WORK] / 100
    return {kind: limit for kind, limit in found.items() if limit is not None}


def _ordered(
    calibrated: Calibrated, start: QuantizedModel, chooser: PsnrDrop, progress: Tell
) -> tuple[WideRecipe, ...]:
    """Return tensors that may have 16 bits, those first that gain most for what they cost; none where no bound counts
    what they cost.
    """
    settings = calibrated.settings
    counted = any(bound.kind == BOPS for bound in settings.costs)
    percent = (_ALL if counted else 0.0) if settings.budget is None else settings.budget
    if percent <= 0:
        return ()

    def error(quantized: Collection[Part]) -> float:
        return chooser.expected(write_variant(start, frozenset(quantized)))

    try:
        together = offered_pieces(calibrated, start)
        return choose_tensors(calibrated, start, together, percent, error, progress, least=LEAST)
    except ModelError:  # some operator cannot be expressed where there are 16 bits
        return ()


def _measured(
    calibrated: Calibrated,
    found: Rounded,
    convolutions: tuple[ConvCost, ...],
    offered: tuple[WideRecipe, ...],
    chooser: PsnrDrop,
) -> Alternatives:
    """Return the choices with what they are expected to lose."""
    networks, expected = [convolutions], [chooser.expected(found.model)]
    for count in range(1, len(offered) + 1):
        finer = finer_of(calibrated, offered[:count])
        try:
            model = calibrated.rewritten(finer, found).model
        except ModelError:
            break
        networks.append(widened(convolutions, calibrated, finer))
        expected.append(chooser.expected(model))
    plain = undecided(calibrated, convolutions)
    lowest = lowest_losses(calibrated, found, plain.free, chooser.expected)
    return replace(plain, convolutions=networks, expected=expected, lowest=lowest)


class _Maker:
    """Makes the network of a choice, once, and measures it on crops that chose nothing."""

    def __init__(self, calibrated: Calibrated, found: Rounded, offered: tuple[WideRecipe, ...], progress: Tell) -> None:
        self._calibrated, self._found, self._offered, self._tell = calibrated, found, offered, progress
        self._made: dict[Choice, Rounded | None] = {_PLAIN: found}
        self._losses: dict[Choice, float] = {}
        self._errors: dict[Choice, float] = {}

    def made(self, choice: Choice) -> Rounded:
        """Return the network.

        Raises:
            ModelError: it cannot be made with 16 bits where the choice has them.
        """
        made = self._network(replace(choice, loss=0.0))
        if made is None:
            raise ModelError("the sums of a convolution that reads a tensor of 16 bits could overflow")
        return made

    def loss(self, choice: Choice) -> float:
        """Return the PSNR that it loses, in dB; infinity where it cannot be made."""
        key = replace(choice, loss=0.0)
        if key not in self._losses:
            made = self._network(key)
            self._losses[key] = math.inf if made is None else self._calibrated.drop(made.model)
        return self._losses[key]

    def error(self, choice: Choice) -> float:
        """Return what it would lose but for the luck that decides in small drops; infinity where it cannot be made."""
        key = replace(choice, loss=0.0)
        if key not in self._errors:
            made = self._network(key)
            self._errors[key] = math.inf if made is None else self._calibrated.drop.expected(made.model)
        return self._errors[key]

    def _network(self, key: Choice) -> Rounded | None:
        if key not in self._made:
            self._tell("", 1 - 1 / (1 + len(self._made) / _TRIED))
            finer = finer_of(self._calibrated, self._offered[: key.wide])
            try:
                self._made[key] = with_bits(self._calibrated, dict(key.bits)).rounded(finer)
            except ModelError:  # weights that are rounded anew may be too large for codes of 16 bits
                self._made[key] = None
        return self._made[key]


def _least_loss(alternatives: Alternatives, maker: _Maker, limits: Mapping[str, float]) -> Choice:
    """Return what loses least, of the choices that seem to, one without further tensors of 16 bits among them."""
    choices = alternatives.within({kind: limit * _EXACT for kind, limit in limits.items()})
    if not choices:
        raise CalibrationError(
            "no choice of bits is found that keeps all bounds of --budget", hint="give one of them more room"
        )
    tried = [*choices[:_TRIED], *(choice for choice in choices[_TRIED:] if choice.wide == 0)]
    if any(replace(choice, loss=0.0) == _PLAIN for choice in tried):
        # What is chosen is no worse than 8 bits where these may be kept.
        tried = [choice for choice in tried if maker.loss(choice) <= maker.loss(_PLAIN)]
    return min(tried, key=lambda choice: (maker.error(choice), choice.wide))


def _least_cost(
    alternatives: Alternatives, maker: _Maker, tops: Mapping[str, float], best: Choice, wanted: float
) -> Choice:
    """Return what costs least and keeps the bound on the loss: all bounds of cost are lowered together.

    ``best``: a choice that keeps it, and costs at most ``tops``.
    """
    ends = {kind: (alternatives.cheapest(kind), top) for kind, top in tops.items()}

    def good(part: float) -> Choice | None:
        choices = alternatives.within(
            {kind: (least + part * (top - least)) * _EXACT for kind, (least, top) in ends.items()}
        )
        tried = [*choices[:1], *(choice for choice in choices[1:] if choice.wide == 0)]
        tried = [choice for choice in tried if choice.loss <= _HOPELESS * wanted]
        return next((choice for choice in tried if maker.loss(choice) <= wanted), None)

    if (found := good(0.0)) is not None:
        return found
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = good(middle)
        if found is None:
            low = middle
        else:
            best, high = found, middle
    return best
