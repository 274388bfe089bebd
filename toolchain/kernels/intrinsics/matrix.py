"""What an instruction set with products of matrices contributes to the convolution template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolchain.kernels.intrinsics.dot import Dot, Integers
from toolchain.kernels.layout import PACK


@dataclass(frozen=True)
class MatrixDot(Dot):
    """The product of 2 pixels x 8 codes with 2 channels x 8 weights; the eight are two words, see
    `toolchain.kernels.matrix`.

    Attributes:
        multiply: int32x4 sums of two pixels, each with two channels; int8x16 codes; int8x16 weights: the new sums.
    """

    multiply: Callable[[Any, Any, Any], Any] = field(kw_only=True)

    def steps(self, blocks: int, kernel: tuple[int, int]) -> tuple[int, int, int]:
        """Blocks, one, and pairs of taps; for kernels of one tap, pairs of blocks, one, and one."""
        if kernel == (1, 1):
            return -(-blocks // 2), 1, 1
        return blocks, 1, -(-kernel[0] * kernel[1] // 2)

    def stored(self, weights: Integers) -> Integers:
        """Return weights (channels, channels in / groups, kh, kw) as (channels / 2, *steps, 16): eight of a channel,
        then eight of the next one. Where a step lacks its second word, that has zero weights.
        """
        channels, inputs, kh, kw = weights.shape
        words = weights.reshape(channels, inputs // PACK, PACK, kh * kw).transpose(0, 1, 3, 2)
        blocks, _, pairs = steps = self.steps(inputs // PACK, (kh, kw))
        full = np.zeros((channels, blocks * pairs * 2, PACK), self.weight_dtype)
        if kh * kw == 1:
            full[:, : inputs // PACK] = words[:, :, 0]
        else:
            full.reshape(channels, blocks, pairs * 2, PACK)[:, :, : kh * kw] = words
        laid = full.reshape(channels // 2, 2, *steps, 2 * PACK).transpose(0, 2, 3, 4, 1, 5)
        return np.ascontiguousarray(laid.reshape(channels // 2, *steps, 4 * PACK))
