"""The hand-over from quantization to lowering."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import onnx

from toolchain.quantize.recipe import Recipe

if TYPE_CHECKING:
    from toolchain.frontend import Clip, SRModel


@dataclass(frozen=True)
class QuantizedModel:
    """A network as canonical QDQ ONNX and how it came to be.

    Attributes:
        model: standard ONNX, opset 17; float ends of ``value_range``, every integer kernel between Q and DQ nodes.
        recipe: every tensor's scale and zero point, and where they are from.
        name: the network's name.
        channels: 1 (Y) or 3 (RGB).
        scale: upscaling factor.
        value_range: what the ends' floats mean, (0, 1) or (0, 255).
        clip: the final clip that integer saturation replaces; None where the network had none.
        halo: receptive-field radius in low-resolution pixels.
        balanced: the same network in float, tensor by tensor: its channels are balanced as the quantized ones are; None
            where another tool quantized it.
        nested: a file of this network and of those of fewer bits that it holds, see `toolchain.frontend.nested_file`;
            empty where it is none of a nest.
    """

    model: onnx.ModelProto
    recipe: Recipe
    name: str
    channels: int
    scale: int | Fraction
    value_range: tuple[float, float]
    clip: Clip | None
    halo: int
    balanced: SRModel | None = None
    nested: bytes = b""
