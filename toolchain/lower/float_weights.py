"""Lay a float convolution's weights out for its kernel: channels by their slots, groups, the order of the loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolchain.lower.float_chain import FloatConvChain
from toolchain.lower.weights import densify


def arrange_floats(chain: FloatConvChain, slots: Sequence[int], count: int, dtype: str) -> tuple[int, np.ndarray]:
    """Groups and weights ``(count / groups, kh, kw, channels)`` of the kernel for an input of ``count`` channels in
    which the model's channel c is channel ``slots[c]``.

    Groups stay where the input's channels lie in order; else the weights get zeros for the other groups.
    """
    if chain.groups > 1 and tuple(slots) == tuple(range(count)):
        return chain.groups, np.ascontiguousarray(chain.weight.transpose(1, 2, 3, 0), dtype)
    weight = densify(chain.weight, chain.groups)
    laid = np.zeros((weight.shape[0], count, *weight.shape[2:]), np.float32)
    for channel, slot in enumerate(slots):
        laid[:, slot] += weight[:, channel]
    return 1, np.ascontiguousarray(laid.transpose(1, 2, 3, 0), dtype)
