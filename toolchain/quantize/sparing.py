"""How few bits weights may have where a bound on the loss is to be kept: least bytes under the bound.

What CGMQ (arXiv 2409.20138) trains for, found without training: what each convolution alone loses with the fewest bits
is measured once; with each bit more, a quarter of it is taken to be lost. Steps to fewer bits are ordered by what they
lose for what they save, and as many of the first are made as the bound allows, found by bisection: each time the whole
network is rounded anew and measured, on crops that chose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import pairwise

import onnx

from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.code_set import ALL, LARGEST_BOOK, codes_of_bits
from toolchain.quantize.fidelity import list_parts, write_variant
from toolchain.quantize.recipe import SparedRecipe
from toolchain.quantize.weight_bits import named_outputs, whole_output
from toolchain.reference.graph import GraphView
from toolchain.support.progress import Tell, untold

LEVELS = (8, 6, 5, 4)
"""Bits that weights may have; codes of the last lie two in a byte in the file."""
QUARTER = 4.0
"""By how much less a convolution loses with one bit more."""


def spare(
    calibrated: Calibrated, found: Rounded, bound: float, progress: Tell = untold
) -> tuple[Rounded, SparedRecipe]:
    """Return the network with as few bits for weights as keep to ``bound``, and what was chosen.

    Args:
        calibrated: the network.
        found: the same with 8 bits for all weights but those that the user decided.
        bound: PSNR that may be lost, in dB (see `PsnrDrop`). Where ``found`` loses more, nothing is spared.
        progress: is told how far it is.
    """
    before = calibrated.drop(found.model)
    sizes = undecided_sizes(calibrated)
    costs = lowest_losses(calibrated, found, sizes, calibrated.drop.expected) if before <= bound and sizes else {}
    steps = _steps(costs, sizes, codebook=calibrated.settings.codebook)
    best, after, enough, too_many = found, before, 0, len(steps) + 1
    while enough + 1 < too_many:
        # All of them may do: that is tried first.
        count = len(steps) if too_many > len(steps) else (enough + too_many) // 2
        progress("", 1 - (too_many - enough) / (len(steps) + 2))
        made = with_bits(calibrated, dict(steps[:count])).rounded(found.finer)
        lost = calibrated.drop(made.model)
        if lost <= bound:
            best, after, enough = made, lost, count
        else:
            too_many = count
    chosen = dict(steps[:enough])
    saved = sum(sizes[output] * (LEVELS[0] - bits) for output, bits in chosen.items())
    share = saved / max(LEVELS[0] * sum(_all_sizes(calibrated).values()), 1)
    return best, SparedRecipe(bound, before, after, share, dict(sorted(chosen.items())))


def _all_sizes(calibrated: Calibrated) -> dict[str, int]:
    constants = GraphView(calibrated.sr.model).constants
    sizes: dict[str, int] = {}
    for output, site in calibrated.plan.convolutions.items():
        name = whole_output(output)
        sizes[name] = sizes.get(name, 0) + constants[site.weight].size
    return sizes


def undecided_sizes(calibrated: Calibrated) -> dict[str, int]:
    """Return how many weights each convolution has whose bits nobody has decided."""
    decided = named_outputs(calibrated.plan, calibrated.settings.weight_bits)
    return {name: size for name, size in _all_sizes(calibrated).items() if name not in decided}


def with_bits(calibrated: Calibrated, bits: Mapping[str, int]) -> Calibrated:
    """Return the network whose weights will be rounded to other bits, by the convolution's output."""
    book = calibrated.settings.codebook
    sets = {
        output: codes_of_bits(number, codebook=book, outliers=calibrated.settings.outliers)
        for output, number in bits.items()
    }
    return replace(calibrated, codes={**calibrated.codes, **{name: one for name, one in sets.items() if one != ALL}})


def lowest_losses(
    calibrated: Calibrated, found: Rounded, names: Collection[str], lost: Callable[[onnx.ModelProto], float]
) -> dict[str, float]:
    """Return the drop in dB where each convolution's weights alone are rounded, to the fewest bits they may have.

    Args:
        calibrated: the network.
        found: the same as it is so far.
        names: of the convolutions, by output.
        lost: the drop of a network.
    """
    if not names:
        return {}
    sizes = undecided_sizes(calibrated)
    fewest = {output: allowed_bits(sizes[output], codebook=calibrated.settings.codebook)[-1] for output in names}
    made = with_bits(calibrated, fewest)
    model = made.described(made.rounded(found.finer))
    losses = dict.fromkeys(names, 0.0)
    for part in list_parts(model):
        name = whole_output(part.name)
        if part.kind == "weights" and name in losses:
            losses[name] += max(lost(write_variant(model, [part])), 0.0)
    return losses


def allowed_bits(size: int, *, codebook: bool) -> tuple[int, ...]:
    """Return the numbers of bits that a convolution of so many weights may have: no book is larger than its layer."""
    return tuple(bits for bits in LEVELS if bits > LARGEST_BOOK or not codebook or 2**bits <= size)


def _steps(costs: Mapping[str, float], sizes: Mapping[str, int], *, codebook: bool) -> list[tuple[str, int]]:
    """Return convolutions and the bits that they then have, those first that lose least for what they save."""
    priced: list[tuple[float, str, int]] = []
    for output, lowest in costs.items():
        levels, dearest = allowed_bits(sizes[output], codebook=codebook), 0.0
        for more, fewer in pairwise(levels):
            lost = lowest * (QUARTER ** (levels[-1] - fewer) - QUARTER ** (levels[-1] - more))
            dearest = max(dearest, lost / (sizes[output] * (more - fewer)))
            priced.append((dearest, output, fewer))
    return [(output, bits) for _, output, bits in sorted(priced, key=lambda one: (one[0], one[1], -one[2]))]
