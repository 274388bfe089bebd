"""Which parts of a float network OpenCL kernels compute: fewer than a CPU's."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.kernels.formula import Compute, FloatStage
from toolchain.kernels.spec import Add, Addend, Stage, View
from toolchain.lower.float_chain import (
    FloatChain,
    FloatConcatChain,
    FloatConvChain,
    FloatRegionChain,
    FloatShuffleChain,
)
from toolchain.lower.float_region import Region, stages_of


def covers(chain: FloatChain) -> bool:
    """Return whether there is an OpenCL kernel for ``chain``: convolutions that keep the picture's size, sums of two
    tensors, activations with bounds or slopes, concatenations, pixel shuffles.
    """
    match chain:
        case FloatConvChain(convolution=convolution, region=region):
            return convolution.strides == (1, 1) and (region is None or _is_plain(region))
        case FloatRegionChain(region=region):
            return _is_plain(region)
    return isinstance(chain, FloatConcatChain | FloatShuffleChain)


def plain(stages: Sequence[FloatStage]) -> tuple[Stage, ...]:
    """Return stages, of which `covers` lets none compute by formulas."""
    found = tuple(stage for stage in stages if not isinstance(stage, Compute))
    assert len(found) == len(stages)
    return found


def _is_plain(region: Region) -> bool:
    anything = [Addend(View.whole(1), 1, 1)] * (len(region.leaves) - 1)
    stages, order = stages_of(region, anything)
    bends = sum(not isinstance(stage, Add) for stage in stages)
    return len(order) < 2 and bends <= 2 and not any(isinstance(stage, Compute) for stage in stages)
