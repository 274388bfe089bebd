"""What passes know and find out about a network besides its graph: handed from one to the next, never changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toolchain.frontend.graph import Array
from toolchain.frontend.interface import PROBE_SIZE, Interface
from toolchain.frontend.model import Clip, Merge
from toolchain.frontend.value_range import Ends

_UNREAD = Interface(3, False, (1, 3, *PROBE_SIZE))


@dataclass(frozen=True)
class PixelScale:
    """How a rewritten model's numbers follow from those of its source.

    Attributes:
        value_range: "0..1" or "0..255" if scalings in the graph said so, else None.
        input_factor, input_offset, output_factor, output_offset: the rewritten model is
            ``output_factor * source(input_factor * x + input_offset) + output_offset``.
    """

    value_range: str | None = None
    input_factor: float = 1.0
    output_factor: float = 1.0
    input_offset: float = 0.0
    output_offset: float = 0.0

    def to_source(self, values: Array) -> Array:
        """Return what the source takes for what the rewritten model takes, float32."""
        return values * np.float32(self.input_factor) + np.float32(self.input_offset)

    def from_source(self, values: Array) -> Array:
        """Return what the rewritten model gives for what the source gives, float32."""
        return values * np.float32(self.output_factor) + np.float32(self.output_offset)


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a network.

    Attributes:
        interface: what its ends look like; until that is read, RGB of any size.
        ends: black and white at both ends, if they are to be made 0..1; None: they are one range from zero on.
        narrow: the source computes with float16 or bfloat16.
        limits: (low, high) of the clip that the source ends in, whatever they are; None without one.
        pixels: how the numbers at its ends were changed.
        clip: the final clip, once it is taken off.
        merges: linear structures that became single convolutions.
        planes: black and white of a network of other planes than a picture's, made one of pictures; None for others.
        border: rows and columns that the output begins before the source's, which lacks them.
        changes: a sentence for the user about each thing that was done, or refused for a reason worth knowing.
    """

    interface: Interface = _UNREAD
    ends: Ends | None = None
    narrow: bool = False
    limits: tuple[float, float] | None = None
    pixels: PixelScale = PixelScale()
    clip: Clip | None = None
    merges: tuple[Merge, ...] = ()
    planes: tuple[float, float] | None = None
    border: tuple[int, int] | None = None
    changes: tuple[str, ...] = ()

    def said(self, *sentences: str) -> Facts:
        """Add sentences to ``changes``; empty ones say nothing."""
        return replace(self, changes=(*self.changes, *(sentence for sentence in sentences if sentence)))
