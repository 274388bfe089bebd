"""The algorithms that a float convolution may be computed by; which one, its tile says.

"direct" sums up all products (`toolchain.kernels.float_conv`). "winograd4" needs half of them for 3x3 kernels
(`toolchain.kernels.float_winograd`); it rounds otherwise, by a few units in the last place more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx

from toolchain.kernels import float_conv, float_winograd
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.float_tile import WINOGRAD, FloatTile
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Needs
from toolchain.kernels.vectors import Vectors


def build(conv: FloatConv, geometry: Geometry, vectors: Vectors, tile: FloatTile) -> tirx.PrimFunc:
    """Return the function of ``conv``, with the arguments that `toolchain.kernels.float_conv` names."""
    template = float_winograd if tile.algorithm == WINOGRAD else float_conv
    return template.build(conv, geometry, vectors, tile)


def weights(given: npt.NDArray[np.floating[Any]], groups: int, tile: FloatTile) -> npt.NDArray[np.floating[Any]]:
    """Return weights (channels in / groups, kh, kw, channels) as the kernel takes them."""
    return float_winograd.weights(given, groups, tile) if tile.algorithm == WINOGRAD else given


def needs(conv: FloatConv, vectors: Vectors, tile: FloatTile) -> Needs:
    """Return what the kernel wants of those who call it."""
    if tile.algorithm != WINOGRAD:
        return Needs()
    return Needs(workspace=float_winograd.workspace(conv, vectors, tile), further=float_winograd.FURTHER)
