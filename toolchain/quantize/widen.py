"""Chooses the tensors, and the channels of them, that gain most from 16 bits, under a budget of multiply-accumulates.

Greedy, by what a tensor saves of the output's error for what it costs: errors hide each other, so what is left is
measured anew after every choice, on photos without labels, by rounding in float (see ``fidelity.blame``). A tensor of
16 bits is as good as one in float. What gains only on the pictures that chose it is not taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from toolchain.images.metrics import decibels
from toolchain.quantize.crops import spread
from toolchain.quantize.fidelity import OutputLoss, Part, list_parts
from toolchain.quantize.fidelity.variants import balanced
from toolchain.quantize.mixed import WORD
from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import WideRecipe
from toolchain.reference.bounds import LIMIT
from toolchain.reference.network import describe_network
from toolchain.reference.program import parse
from toolchain.reference.steps import ConvStep
from toolchain.support.progress import Tell, untold

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

Made = TypeVar("Made")
Item = TypeVar("Item")

_PICTURES, _JUDGES, _FEWEST = 8, 32, 2
_WORK = 2e5
"""Multiply-accumulates per pixel of networks that are run on as many pictures; larger ones on fewer: some seconds at
most."""
_STORED = 0.5
"""Percent: what a tensor of 16 bits costs besides multiply-accumulates, and where no convolution reads it."""
LEAST = 0.01
"""The part of the error that a tensor must save."""
_WHOLE: Mapping[str, Sequence[tuple[int, ...]]] = {}
_WIDER = 257
"""Steps of 16 bits in one of 8."""


def choose_wide(
    model: QuantizedModel,
    plan: QuantizationPlan,
    budget: float,
    decided: Collection[str],
    error: Callable[[Collection[Part]], float],
    judges: Sequence[NDArray[np.uint8]],
    suffices: Callable[[Collection[Part]], bool] = lambda quantized: False,
    least: float = LEAST,
    progress: Tell = untold,
    pieces: Mapping[str, Sequence[tuple[int, ...]]] = _WHOLE,
) -> tuple[WideRecipe, ...]:
    """Return the tensors to keep at 16 bits, best first; each of them gains on ``judges`` too.

    Each tensor is measured once, and again only when it seems the best of those that are left (lazy greedy; Minoux,
    "Accelerated greedy algorithms", 1978): n tensors of which k are chosen take n + 3 k runs or a few more.

    Args:
        model: quantized to 8 bits but for what the user has decided, with its float network.
        plan: of its quantization.
        budget: multiply-accumulates that may be added, in percent of the network's.
        decided: groups of the plan whose bits the user has decided.
        error: of the network with just these parts quantized, on pictures that choose.
        judges: other pictures, u8 (h, w, C), that may only refuse.
        suffices: whether the network with just these parts quantized is good enough: nothing more is chosen then.
        least: the part of the error that a tensor must save.
        progress: is told how far it is, about: how many are chosen is not known before.
        pieces: of some tensors, the channels that can be chosen together; the others are chosen whole.
    """
    sr = balanced(model)
    verdict = OutputLoss(model, affordable(judges, sr, _JUDGES))
    prices = {part: cost for part, cost in price(model, plan).items() if plan.group[part.name] not in decided}
    costs = {piece: cost for part in prices for piece, cost in _pieces(part, prices[part], pieces.get(part.name))}
    quantized, left = {*costs, *(part for part in list_parts(model) if part not in prices)}, budget
    found: list[WideRecipe] = []
    saved = dict.fromkeys(costs, math.inf)
    measured = dict.fromkeys(costs, -1)  # after how many choices
    now, judged = error(quantized), verdict(quantized)
    runs = 0

    def best_left() -> Part | None:
        nonlocal runs
        while offered := [part for part in saved if costs[part] <= left and saved[part] >= least * now]:
            best = max(offered, key=lambda part: saved[part] / max(costs[part], _STORED))
            if measured[best] == len(found):
                return best
            progress("", runs / (runs + len(saved)))
            saved[best], measured[best], runs = now - error(quantized - {best}), len(found), runs + 1
        return None

    while not suffices(quantized):
        best, without = best_left(), math.inf
        while best is not None and judged - (without := verdict(quantized - {best})) < least * judged:
            del saved[best]
            best = best_left()
        if best is None:
            break
        quantized.remove(best)
        now, judged = now - saved.pop(best), without
        left -= costs[best]
        found.append(WideRecipe(best.name, costs[best], decibels(judged), best.channels or ()))
    return tuple(found)


def _pieces(part: Part, cost: float, pieces: Sequence[tuple[int, ...]] | None) -> Iterator[tuple[Part, float]]:
    """Yield what of a tensor can be chosen, and what that costs; words of channels cost as much as full ones."""
    if pieces is None:
        yield part, cost
        return
    words = [-(-len(channels) // WORD) for channels in pieces]
    for channels, count in zip(pieces, words, strict=True):
        yield replace(part, channels=channels, of=sum(map(len, pieces))), cost * count / sum(words)


def affordable(pictures: Sequence[Item], sr: SRModel, most: int = _PICTURES) -> Sequence[Item]:
    """As many of ``pictures``, crops for calibration, as are worth their time for the network, ``most`` at most."""
    work = describe_network(sr.model).macs_per_pixel
    return spread(pictures, min(most, max(_FEWEST, round(_WORK * most / max(work, 1.0)))))


def keep_gains(
    chosen: tuple[WideRecipe, ...], widened: Callable[[int], Made], error: Callable[[Made], float]
) -> tuple[Made, tuple[WideRecipe, ...]]:
    """Take back the last choices as long as the network is as good without: what gains by rounding in float need not
    gain in codes, for which all weights are rounded anew.

    Args:
        chosen: best first.
        widened: the network with so many of them; with none, as it was.
        error: of a network.

    Returns: the network, and what is chosen in it: nothing, unless it is better than the network as it was.
    """
    best = widened(len(chosen))
    while chosen and error(shorter := widened(len(chosen) - 1)) <= error(best):
        best, chosen = shorter, chosen[:-1]
    return best, chosen


def price(model: QuantizedModel, plan: QuantizationPlan) -> dict[Part, float]:
    """Percent of the network's multiply-accumulates that each tensor adds at 16 bits, where sums still fit into 32."""
    network = describe_network(balanced(model).model)
    work = {layer.name: layer.macs_per_pixel for layer in network.layers}
    points = {f"{point}_quantized": plan.group[point] for point in plan.points}
    steps = [step for step in parse(model.model).steps if isinstance(step, ConvStep)]
    full = {points[step.source.tensor] for step in steps if _too_large(step)}
    costs = {}
    for part in list_parts(model):
        group = plan.group.get(part.name)
        if part.kind == "activation" and group not in plan.pinned and group not in full:
            readers = [site.output for site in plan.convolutions.values() if plan.group[site.source] == group]
            costs[part] = 100 * sum(work[name] for name in readers) / max(network.macs_per_pixel, 1.0)
    return costs


def _too_large(step: ConvStep) -> bool:
    """Whether sums could leave int32 if what the convolution reads, 8 bits now, had 16."""
    read = step.source.quantization
    # Bias and zero point grow with the codes; what `partial` adds for bytes is room for weights rounded otherwise.
    return _WIDER * step.convolution.partial(read.zero_point, read.qmax) >= LIMIT
