"""Which channels of a tensor count: how much of the output's error each makes when it alone has 8 bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.crops import spread
from toolchain.quantize.fidelity import OutputLoss, Part
from toolchain.quantize.fidelity.variants import balanced
from toolchain.quantize.mixed import MixedSite
from toolchain.quantize.quantized import QuantizedModel
from toolchain.reference.network import describe_network

_PICTURES, _SIDE = 2, 48
_WORK = 3e7
"""Channels times multiply-accumulates per pixel of networks that are looked at: a run for each takes seconds in all."""


def rank_channels(
    model: QuantizedModel, sites: Sequence[MixedSite], crops: Sequence[NDArray[np.uint8]]
) -> dict[str, list[int]]:
    """Return the channels of each tensor, those first that make most of the error; nothing for large networks.

    Args:
        model: quantized to 8 bits, with its float network.
        sites: the tensors.
        crops: pictures u8 (h, w, C), of which parts of a few are run.
    """
    work = describe_network(balanced(model).model).macs_per_pixel
    if work * sum(site.channels for site in sites) > _WORK:
        return {}
    error = OutputLoss(model, [crop[:_SIDE, :_SIDE] for crop in spread(crops, _PICTURES)])
    found = {}
    for site in sites:
        losses = [
            error([Part("activation", site.tensor, "", (site.tensor,), (channel,), site.channels)])
            for channel in range(site.channels)
        ]
        found[site.tensor] = [int(channel) for channel in np.argsort(-np.array(losses), kind="stable")]
    return found
