"""A network that is easy to be sure of: integer convolutions with zero padding and a pixel shuffle, in NumPy."""

from __future__ import annotations

import itertools

import numpy as np


class FakeNetwork:
    """``layers`` 3x3 integer convolutions, then a 3x3 to scale^2 * C channels and depth-to-space; u8 in and out.

    Every layer ends in a modulus, so that one wrong input pixel anywhere in the receptive field changes the result.
    """

    def __init__(self, *, channels: int = 3, scale: int = 2, layers: int = 2, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.channels, self.scale = channels, scale
        self.halo = layers + 1
        widths = [channels, *[4] * layers, channels * scale * scale]
        self.weights = [rng.integers(1, 50, (3, 3, a, b)) for a, b in itertools.pairwise(widths)]
        self.calls: list[tuple[int, ...]] = []

    def upscale(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert pixels.shape[2] == self.channels
        self.calls.append(pixels.shape)
        height, width = pixels.shape[:2]
        x = pixels.astype(np.int64)
        for weight in self.weights:
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            # The bias makes the padding visible: a zero outside is not a zero inside.
            x = 7 + sum(padded[i : i + height, j : j + width] @ weight[i, j] for i in range(3) for j in range(3))
            x %= 251
        s, c = self.scale, self.channels
        return (
            x.reshape(height, width, s, s, c)
            .transpose(0, 2, 1, 3, 4)
            .reshape(height * s, width * s, c)
            .astype(np.uint8)
        )

    def bind(self, pixels: np.ndarray):
        return lambda: self.upscale(pixels)
