"""What a convolution is given besides its input, as the integer reference knows it: before any kernel's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.kernels.intrinsics.dot import Integers


@dataclass(frozen=True, eq=False)
class Parameters:
    """Weights and what goes with them; numbers of channels are multiples of four.

    Attributes:
        weights: of 8 bits, (channels, channels in / groups, kh, kw).
        bias: (channels,), what sums over codes less ``zero_point`` begin with.
        zero_point: of the input.
        multiplier: float32 (channels,).
        slopes: float32 (channels,); None where there are none.
    """

    weights: Integers
    bias: Integers
    zero_point: int
    multiplier: npt.NDArray[np.float32]
    slopes: npt.NDArray[np.float32] | None = None

    @property
    def rest(self) -> list[np.ndarray]:
        """The arrays that follow weights and bias, but for the multiplier."""
        return [] if self.slopes is None else [self.slopes]

    def largest(self, most: int) -> npt.NDArray[np.int64]:
        """Return what no sum's magnitude exceeds, for each output channel, where codes are 0 to ``most``: int64."""
        weights = self.weights.astype(np.int64)
        up, down = (np.maximum(side, 0).sum(axis=(1, 2, 3)) for side in (weights, -weights))
        above, below = most - self.zero_point, self.zero_point
        bias = self.bias.astype(np.int64)
        ends = np.abs(bias + above * up + below * down), np.abs(bias - below * up - above * down)
        return np.asarray(np.maximum(*ends))

    def largest_pair(self, most: int) -> int:
        """Return what no two products that `toolchain.kernels.intrinsics.dot.Dot.bytes` adds exceed, where bytes of
        codes are 0 to ``most``: those of channels 0 and 1, or 2 and 3, of a word.
        """
        weights = self.weights.astype(np.int64)
        sums = (np.maximum(side, 0)[:, 0::2] + np.maximum(side, 0)[:, 1::2] for side in (weights, -weights))
        return most * max(int(found.max(initial=0)) for found in sums)
