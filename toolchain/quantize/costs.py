"""What a quantized network costs: bit operations, bytes of packed weights, and work that 16 bits add."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolchain.quantize.budgets import BOPS, SIZE, WORK
from toolchain.quantize.code_set import LARGEST_BOOK
from toolchain.quantize.fidelity.variants import balanced
from toolchain.quantize.mixed import WORD, Finer
from toolchain.quantize.packing import weights_by_output
from toolchain.quantize.plan import QuantizationPlan, make_plan
from toolchain.quantize.qdq import name_weights
from toolchain.quantize.quantized import QuantizedModel
from toolchain.reference.network import describe_network
from toolchain.reference.quantization import BITS, WIDE_BITS

if TYPE_CHECKING:
    from toolchain.quantize.calibrated import Calibrated


@dataclass(frozen=True)
class ConvCost:
    """What one convolution costs.

    Attributes:
        output: of the convolution.
        macs: multiply-accumulates per input pixel of the network.
        reads: bits of the codes it reads; between 8 and 16 where some channels have 16.
        weights: how many it has.
        bits: of a weight's code, or of its place in the codebook.
        entries: of the codebook, or of both where the convolution becomes two; 0 without one.
        parts: convolutions that this one becomes, where some channels of what it makes get 16 bits.
    """

    output: str
    macs: float
    reads: float
    weights: int
    bits: int
    entries: int = 0
    parts: int = 1

    def with_bits(self, bits: int, *, codebook: bool) -> ConvCost:
        """Return the same with weights of other bits; a codebook has as many entries as it may have."""
        entries = 2**bits * self.parts if codebook and bits <= LARGEST_BOOK else 0
        return replace(self, bits=bits, entries=entries)

    @property
    def bops(self) -> float:
        """Multiply-accumulates per input pixel times the bits of both factors."""
        return self.macs * self.reads * self.bits

    @property
    def size(self) -> int:
        """Bytes of the weights, codes of each part side by side, with their codebook."""
        return math.ceil(self.weights * self.bits / 8) + self.parts - 1 + self.entries

    @property
    def work(self) -> float:
        """Multiply-accumulates per input pixel that codes of more than 8 bits add."""
        return self.macs * (self.reads - BITS) / BITS


def costs_of(convolutions: Sequence[ConvCost]) -> dict[str, float]:
    """Return what they cost together: "bops" and "work" per input pixel, "size" in bytes."""
    return {
        BOPS: sum(one.bops for one in convolutions),
        SIZE: sum(one.size for one in convolutions),
        WORK: sum(one.work for one in convolutions),
    }


def plain_costs(convolutions: Sequence[ConvCost]) -> dict[str, float]:
    """Return what they would cost with 8 bits everywhere, and for "work" all multiply-accumulates."""
    plain = costs_of([replace(one, reads=BITS, bits=BITS, entries=0, parts=1) for one in convolutions])
    return {**plain, WORK: sum(one.macs for one in convolutions)}


def describe_costs(model: QuantizedModel) -> tuple[ConvCost, ...]:
    """Return what each integer convolution of a network costs, as it is deployed.

    Raises:
        ModelError: another tool quantized it.
    """
    plan = make_plan(balanced(model))
    names = {name: output for output, name in weights_by_output(model.model).items()}
    layers = {layer.name: layer for layer in describe_network(model.model).layers}
    weights = {tensor.name: tensor for tensor in model.recipe.tensors if tensor.role == "weight"}
    found = []
    for output, name in name_weights(plan).items():
        layer, tensor = layers[names[name]], weights[name]
        reads = WIDE_BITS - (WIDE_BITS - BITS) * layer.coarse if layer.bits == WIDE_BITS else BITS
        size = math.prod(layer.weight)
        found.append(ConvCost(output, layer.macs_per_pixel, reads, size, tensor.bits, len(tensor.codebook)))
    return tuple(found)


def widened(convolutions: Sequence[ConvCost], calibrated: Calibrated, finer: Finer) -> tuple[ConvCost, ...]:
    """Return what each convolution costs where these tensors have 16 bits.

    Args:
        convolutions: of the network as it is without, see `describe_costs`.
        calibrated: the network.
        finer: tensors, and which of their channels.
    """
    plan = calibrated.plan
    reads = _reads(plan, calibrated, finer)
    split = {calibrated.sites[name].conv.output for name, channels in finer.items() if channels is not None}
    return tuple(
        replace(one, reads=max(one.reads, reads.get(one.output, 0.0)), parts=1 + (one.output in split))
        for one in convolutions
    )


def _reads(plan: QuantizationPlan, calibrated: Calibrated, finer: Finer) -> Mapping[str, float]:
    """Return the bits of the codes that convolutions read of these tensors, by output."""
    found: dict[str, float] = {}
    for name, channels in finer.items():
        group = plan.group[name]
        # Words of four channels are multiplied together: where a word holds both kinds, all of the tensor counts.
        share = 1.0
        if channels is not None and len(channels) % WORD == 0:
            share = len(channels) / calibrated.sites[name].channels
        for output, site in plan.convolutions.items():
            if plan.group[site.source] == group:
                found[output] = BITS + (WIDE_BITS - BITS) * share
    return found
