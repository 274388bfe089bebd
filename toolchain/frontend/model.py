"""What the frontend hands on: a normalized float model and the facts found in it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import onnx


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
class Merge:
    """Linear operators that became one convolution.

    Attributes:
        result: name of the convolution's value.
        sources: names of the values of the source that are no longer computed.
        nodes: how many operators it replaces.
        kernel: rows, columns.
        macs_before, macs_after: multiply-accumulates per input pixel of the network.
        outliers_before: the worst outlier ratio (``linear.outlier_ratio``) among the weights of the source; 1 is best.
        outliers_after: that of the merged weights. The larger, the coarser INT8 makes the other weights of a channel.
    """

    result: str
    sources: tuple[str, ...]
    nodes: int
    kernel: tuple[int, int]
    macs_before: float
    macs_after: float
    outliers_before: float
    outliers_after: float


@dataclass(frozen=True)
class SRModel:
    """A normalized super-resolution network.

    Attributes:
        model: float32, opset 17; input ``input`` (1, channels, height, width), output ``output``
            (1, channels, height*scale, width*scale), both of any size that is a multiple of ``unit``.
        name: of the source graph, usable as a file name.
        channels: 1 (Y) or 3 (RGB).
        scale: output pixels per input pixel, in each direction; ``unit`` is a multiple of a fraction's denominator.
        value_range: (0.0, 1.0) or (0.0, 255.0): black and white, for the input and for the output.
        clip: the final clip, which is no longer in ``model``; None if there was none.
        halo: low-resolution pixels around a pixel on which its output depends: what a tile must carry on each side.
        changes: one sentence per normalization that changed something, or that was refused for a reason worth knowing.
        merges: the linear structures that became single convolutions.
        unit: of how many pixels the sides of pictures must be multiples; see `toolchain.frontend.unit`.
        coarse: tensors that are quantized by themselves though a Concat joins them to others, see
            `toolchain.quantize.mixed`.
    """

    model: onnx.ModelProto
    name: str
    channels: int
    scale: int | Fraction
    value_range: tuple[float, float]
    clip: Clip | None
    halo: int
    changes: tuple[str, ...]
    merges: tuple[Merge, ...] = ()
    unit: int = 1
    coarse: tuple[str, ...] = ()
