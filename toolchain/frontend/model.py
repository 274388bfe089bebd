"""What the frontend hands on: a normalized float model and the facts found in it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

UNBOUNDED_HALO = 1 << 20
"""Halo of a network in which one pixel can depend on all others (global pooling, strides): it cannot be tiled."""


@dataclass(frozen=True)
class Clip:
    """A final clip that stood at the end of the source model.

    Attributes:
        low: lower bound, in the model's value range.
        high: upper bound, in the model's value range.
        spelling: the operators it was written with, in order, such as ``"Clip"`` or ``"Relu+Min"``.
    """

    low: float
    high: float
    spelling: str


@dataclass(frozen=True)
class SRModel:
    """A normalized super-resolution network.

    Attributes:
        model: float32, opset 17; input ``input`` (1, channels, height, width), output ``output``
            (1, channels, height*scale, width*scale), both of any size.
        name: of the source graph, usable as a file name.
        channels: 1 (Y) or 3 (RGB).
        scale: output pixels per input pixel, in each direction.
        value_range: (0.0, 1.0) or (0.0, 255.0): black and white, for the input and for the output.
        clip: the final clip, which is no longer in ``model``; None if there was none.
        halo: low-resolution pixels around a pixel on which its output depends: what a tile must carry on each side.
        changes: one sentence per normalization that changed something.
    """

    model: onnx.ModelProto
    name: str
    channels: int
    scale: int
    value_range: tuple[float, float]
    clip: Clip | None
    halo: int
    changes: tuple[str, ...]
