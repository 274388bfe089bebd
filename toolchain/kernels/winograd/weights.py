"""For which convolutions F(4x4,3x3) is exact, and their weights as the kernel takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.kernels.winograd import transforms
from toolchain.kernels.winograd.transforms import POINTS

_SMALLEST = np.finfo(np.float32).tiny * transforms.LEFT


def possible(conv: Conv, dot: Dot) -> bool:
    """Return whether there is a kernel for a convolution of this shape."""
    return (
        dot.pairs is not None
        and conv.kernel == (transforms.TAPS, transforms.TAPS)
        and conv.dilation == (1, 1)
        and conv.stride == (1, 1)
        and not conv.source.wide
    )


def exact(largest: npt.NDArray[np.int64], multiplier: npt.NDArray[np.float32]) -> bool:
    """Return whether the kernel gives the right bits for sums of magnitudes up to ``largest``, with these
    multipliers.
    """
    used = np.abs(multiplier[multiplier != 0])
    return bool(largest.max(initial=0) < transforms.LARGEST and used.min(initial=1) >= _SMALLEST)


def pairs(conv: Conv) -> int:
    """Return the number of pairs of input channels that an output channel is summed from."""
    return conv.inputs * PACK // 2


def constants(conv: Conv, tile: Tile) -> tuple[tuple[tuple[int, ...], str], ...]:
    """Return the shape and element type of each of the kernel's arrays, in the order of its arguments."""
    vector = (conv.channels,)
    return (
        ((conv.channels // tile.channels, POINTS**2, pairs(conv), tile.channels), "int32"),
        (vector, "uint32"),
        *[(vector, "float32")] * (1 + conv.requantize.slopes),
    )


def arrays(parameters: Parameters, start: npt.NDArray[np.int32], tile: Tile) -> list[npt.NDArray[Any]]:
    """Return the kernel's arrays; ``start``: what sums over codes begin with.

    A number of the weights is those for two channels, 0 and 2 of a block or 1 and 3, as the two halves of words are.
    """
    channels, inputs = parameters.weights.shape[:2]
    split = channels // tile.channels, tile.channels, inputs // PACK, 2, 2, POINTS**2
    halves = transforms.weights(parameters.weights).reshape(split)
    laid = np.ascontiguousarray(halves.transpose(0, 5, 2, 4, 1, 3)).view("<i4")
    begin = (start.astype(np.int64) * transforms.SCALE).astype(np.uint32)
    multiplier = parameters.multiplier / np.float32(transforms.LEFT)
    return [
        laid.reshape(channels // tile.channels, POINTS**2, inputs // 2, tile.channels),
        begin,
        multiplier,
        *parameters.rest,
    ]
