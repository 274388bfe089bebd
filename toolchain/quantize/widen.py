"""Chooses the tensors that gain most from 16 bits, under a budget of multiply-accumulates.

Greedy, by what a tensor saves of the output's squared error for what it costs: errors hide each other, so what is left
is measured anew after every choice, on photos without labels, by rounding in float (see ``fidelity.blame``). A tensor
of 16 bits is as good as one in float.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.bounds import LIMIT
from toolchain.quantize.crops import spread
from toolchain.quantize.fidelity import OutputError, Part, list_parts
from toolchain.quantize.fidelity.variants import balanced
from toolchain.quantize.plan import Plan
from toolchain.quantize.program import ConvStep, parse
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import WideRecipe
from toolchain.report.network import describe_network

_PICTURES = 8
_STORED = 0.5
"""Percent: what a tensor of 16 bits costs besides multiply-accumulates, and where no convolution reads it."""
_LEAST = 0.01
"""The part of the error that a tensor must save."""
_WIDER = 257
"""Steps of 16 bits in one of 8."""


def choose_wide(
    model: QuantizedModel, plan: Plan, budget: float, decided: Collection[str], pictures: Sequence[NDArray[np.uint8]]
) -> tuple[WideRecipe, ...]:
    """The tensors to keep at 16 bits, best first.

    Args:
        model: quantized to 8 bits but for what the user has decided, with its float network.
        plan: of its quantization.
        budget: multiply-accumulates that may be added, in percent of the network's.
        decided: groups of the plan whose bits the user has decided.
        pictures: u8 (h, w, C).
    """
    error = OutputError(model, spread(pictures, _PICTURES))
    quantized, left = list(list_parts(model)), budget
    found: list[WideRecipe] = []
    costs = {part: cost for part, cost in _costs(model, plan).items() if plan.group[part.name] not in decided}
    now = error(quantized)
    while True:
        errors = {part: error([other for other in quantized if other != part])
                  for part, cost in costs.items() if cost <= left}  # fmt: skip
        if not errors:
            break
        best = max(errors, key=lambda part: (now - errors[part]) / max(costs[part], _STORED))
        if now - errors[best] < _LEAST * now:
            break
        now, cost = errors[best], costs.pop(best)
        left -= cost
        quantized.remove(best)
        found.append(WideRecipe(best.name, cost, _decibels(now)))
    return tuple(found)


def output_psnr(model: QuantizedModel, pictures: Sequence[NDArray[np.uint8]]) -> float:
    """PSNR of the quantized network's output against the float network's, in dB, on some of ``pictures``."""
    error = OutputError(model, spread(pictures, _PICTURES))
    return _decibels(error(list_parts(model)))


def _costs(model: QuantizedModel, plan: Plan) -> dict[Part, float]:
    """Percent of the network's multiply-accumulates that each tensor adds at 16 bits, where sums still fit into 32."""
    network = describe_network(balanced(model).model)
    work = {layer.name: layer.macs_per_pixel for layer in network.layers}
    points = {f"{point}_quantized": plan.group[point] for point in plan.points}
    full = {
        points[step.source.name]
        for step in parse(model.model).steps
        if isinstance(step, ConvStep)
        # Bias and zero point grow with the codes; what `partial` adds for bytes is room for weights rounded otherwise.
        and _WIDER * step.convolution.partial(step.source.quantization.zero, step.source.quantization.most) >= LIMIT
    }
    costs = {}
    for part in list_parts(model):
        group = plan.group.get(part.name)
        if part.kind == "activation" and group not in plan.pinned and group not in full:
            readers = [site.output for site in plan.convolutions.values() if plan.group[site.source] == group]
            costs[part] = 100 * sum(work[name] for name in readers) / max(network.macs_per_pixel, 1.0)
    return costs


def _decibels(error: float) -> float:
    """PSNR of a mean squared error in grey levels; that of an error too small to matter where there is none."""
    return 10 * math.log10(255**2 / max(error, 1e-9))
