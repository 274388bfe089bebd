"""A convolution's kernel before it is cut, integer or float: what it may be cut into, and what it has to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Addend, Conv


@dataclass(frozen=True)
class Job:
    """A kernel.

    Attributes:
        conv: what it computes.
        picture: channels of the picture that is its source; None: the source is a packed tensor.
        anchors: of what else it reads, in order: channels of the picture that it is; None: a packed tensor.
        dtype: of packed tensors.
        scale: pixels of what it reads for one of the network's picture, in each direction.
    """

    conv: Conv | FloatConv
    picture: int | None = None
    anchors: tuple[int | None, ...] = ()
    dtype: str = "uint32"
    scale: Fraction | int = 1

    @property
    def order(self) -> tuple[int, ...]:
        """The convolution's output channels in the kernel's order: work-items along z take the first few, the next ones
        and so on. For a picture it is the order of its bytes.
        """
        return self.conv.pixels.table if self.conv.pixels is not None else tuple(range(self.conv.channels))

    @property
    def others(self) -> tuple[tuple[Addend, int | None], ...]:
        """What it reads besides its source, and of which picture it is channels."""
        anchors = self.anchors or (None,) * len(self.conv.others)
        return tuple(zip(self.conv.others, anchors, strict=True))

    @property
    def packing(self) -> int:
        """Channels of an element of a packed tensor."""
        return PACK if isinstance(self.conv, Conv) else 1

    @property
    def dense(self) -> bool:
        """Whether groups are filled up with zero weights: bytes of a picture are not in the groups' order."""
        return self.conv.groups > 1 and self.conv.pixels is not None

    @property
    def inputs(self) -> int:
        """Elements of a pixel that an output channel is summed from."""
        return self.conv.inputs * (self.conv.groups if self.dense else 1)

    @property
    def low_inputs(self) -> int:
        """Those of them whose low bytes are read."""
        return self.conv.low_inputs * (self.conv.groups if self.dense else 1)

    @property
    def passes(self) -> int:
        """How often the taps are gone through: for every byte of a code."""
        return self.conv.source.bytes

    @property
    def window(self) -> int:
        """Elements beyond its pixels that a work-item reads of a row."""
        return self.conv.reach[1]

    @property
    def channels(self) -> tuple[int, ...]:
        """The numbers of output channels that a work-item may compute, ascending.

        A work-item of a kernel that writes the picture computes whole rows of a pixel's bytes.
        """
        conv, order = self.conv, self.order
        if conv.pixels is None:
            group = conv.channels // conv.groups
            return tuple(c for c in range(self.packing, group + 1, self.packing) if group % c == 0)
        row = conv.pixels.scale * conv.pixels.channels
        found = [r * row for r in range(1, conv.pixels.scale + 1) if conv.pixels.scale % r == 0]
        # What a work-item reads besides is known when the kernel is written, so it must be the same for all.
        slots = [slots_of(order, other) for other in conv.others]
        return tuple(c for c in found if all(_repeat(numbers, c) for numbers in slots))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for a pixel of its source."""
        conv = self.conv
        return len(self.order) * self.inputs * self.packing * conv.kernel[0] * conv.kernel[1]

    @property
    def element(self) -> int:
        """Bytes of an element of a packed tensor."""
        return np.dtype(self.dtype).itemsize


def slots_of(order: Sequence[int], other: Addend) -> tuple[int, ...]:
    """Return the channel of what else is read for every output channel."""
    return tuple(channel // other.divide % other.modulo for channel in order)


def _repeat(numbers: tuple[int, ...], count: int) -> bool:
    """Whether every ``count`` of ``numbers`` are the same."""
    return len({numbers[start : start + count] for start in range(0, len(numbers), count)}) == 1
