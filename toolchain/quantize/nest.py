"""From a calibrated network to nested ones: networks of fewer and of more bits, whose weights begin with the same bits.

The smallest is rounded first, as if it were alone; each further one refines the codes of the one before, on what its
own integer layers give, and has biases of its own. Scales are those of the smallest, divided by powers of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from toolchain.frontend.nested_bits import MOST, Nesting
from toolchain.frontend.nested_file import read_nested, write_nested
from toolchain.images.metrics import decibels
from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.code_set import CodeSet
from toolchain.quantize.loss import Comparison
from toolchain.quantize.nested_set import fewest_bits, within
from toolchain.quantize.qdq import name_weights
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import MemberRecipe
from toolchain.quantize.weights import QuantizedWeight, outputs_first, round_weight
from toolchain.reference.graph import Array
from toolchain.support.progress import Stages, Tell, part_of, untold

_NESTING, _ALONE = "rounding nested weights", "rounding for each number of bits alone"


def nested(calibrated: Calibrated, bits: tuple[int, ...], progress: Tell = untold) -> QuantizedModel:
    """Return the network of the most bits, and with it the file of all of them; in its recipe is what each is worth
    beside one that is rounded for its bits alone.

    Args:
        calibrated: the network.
        bits: of the members, falling.
        progress: is told how far it is.
    """
    stages = Stages(progress, {_NESTING: 1, _ALONE: 1})
    found = round_nested(calibrated, Nesting(bits), stages.begin(_NESTING))
    names = list(name_weights(calibrated.plan).values())
    data = write_nested({number: one.model for number, one in found.items()}, names)
    sizes, tell = read_nested(data, "the nest"), stages.begin(_ALONE)
    comparison = Comparison(calibrated.sr, [crop.pixels for crop in calibrated.judges])
    members = []
    for index, number in enumerate(bits):
        model = found[number].model
        alone = _alone(calibrated, number).rounded(progress=part_of(tell, index, len(bits)))
        psnr = decibels(comparison.mean(comparison.errors(model)))
        size = len(sizes.prefix(number))
        members.append(MemberRecipe(number, size, psnr, calibrated.drop(model), calibrated.drop(alone.model)))
    made = calibrated.described(found[bits[0]])
    return replace(made, recipe=replace(made.recipe, nested=tuple(members)), nested=data)


def round_nested(calibrated: Calibrated, nesting: Nesting, progress: Tell = untold) -> dict[int, Rounded]:
    """Return the members by their bits, fewest first."""
    count, fewest = len(nesting.bits), nesting.bits[-1]
    smallest = _with(calibrated, fewest_bits(nesting)).rounded(progress=part_of(progress, 0, count))
    # Steps of further members are finer, and their biases as many more of them.
    found = {fewest: calibrated.with_room(smallest, 2.0 ** (nesting.shift(fewest) + 1))}
    for index, (fewer, bits) in enumerate(pairwise(reversed(nesting.bits))):
        refine = _refine(nesting, bits, bits - fewer, found[fewer])
        found[bits] = calibrated.rerounded(found[fewer], refine, part_of(progress, index + 1, count))
    return found


def _refine(nesting: Nesting, bits: int, shift: int, coarse: Rounded) -> Callable[[str, Array], QuantizedWeight]:
    def refined(output: str, weight: Array) -> QuantizedWeight:
        given = coarse.weights[output]
        among = within(nesting, bits, outputs_first(given.codes, given.axis), shift)
        scale = (given.scale / np.float32(1 << shift)).astype(np.float32)
        return round_weight(weight, scale, given.axis, given.estimator, among)

    return refined


def _alone(calibrated: Calibrated, bits: int) -> Calibrated:
    return calibrated if bits == MOST else _with(calibrated, CodeSet(bits))


def _with(calibrated: Calibrated, among: CodeSet) -> Calibrated:
    return replace(calibrated, codes=dict.fromkeys(calibrated.plan.convolutions, among))
