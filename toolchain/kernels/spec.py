"""What a kernel computes, apart from how it is scheduled. Values, not code: specs are compared, hashed and reported."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from toolchain.frontend.fixed_point import Resizing
from toolchain.frontend.window import Window
from toolchain.kernels.phases import DepthToSpace as DepthToSpace
from toolchain.kernels.phases import Pair, above, reach
from toolchain.kernels.phases import Pool as Pool
from toolchain.kernels.phases import SpaceToDepth as SpaceToDepth
from toolchain.kernels.view import View as View


@dataclass(frozen=True)
class Addend:
    """A packed tensor as a term of a sum.

    Attributes:
        view: where it lies.
        divide, modulo: output channel c takes the view's channel ``c // divide % modulo``: (1, C) adds channel by
            channel, (1, 3) repeats an RGB picture as an anchor does, (9, 3) repeats each channel nine times, (1, 1)
            broadcasts.
        single: it has a single pixel, which goes with every one. Kernels of integer convolutions do not know it.
    """

    view: View
    divide: int
    modulo: int
    single: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Operand(Addend):
    """A packed tensor of codes as a term of a sum: ``float32(code - zero_point) * multiplier``.

    Attributes:
        slots: where no rule holds: the view's channel for every output channel. Only elementwise kernels know it.
        zero_point: its zero point.
        multiplier: float32 value of its scale over the output's scale.
    """

    zero_point: int
    multiplier: float
    slots: tuple[int, ...] = ()


@dataclass(frozen=True)
class Slopes:
    """The stage of a PReLU: negative values are multiplied by their channel's slope."""


@dataclass(frozen=True)
class Bounds:
    """The stage of a ReLU or a clip: ``max(low, min(high, x))``."""

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Add:
    """The stage that adds a tensor."""

    operand: Addend


Stage: TypeAlias = Slopes | Bounds | Add
"""What may follow a sum, one after the other, while it is in a register: gemmlowp calls that an output pipeline."""


@dataclass(frozen=True)
class Requantize:
    """From the int32 accumulator to the output code: the one rounding of a kernel.

    ``v = float32(acc) * multiplier``, activation, residual, clamp to ``[low, high]``, round half to even, add the zero
    point. ``low`` and ``high`` are relative to the zero point.

    Attributes:
        low: smallest value before the zero point is added.
        high: largest value before the zero point is added.
        zero_point: of the output.
        slopes: a PReLU with a slope for every output channel follows the multiplication.
        inner: float32 bounds of an activation that precedes a residual; None: no such activation.
        residual: None: nothing is added.
        fits: every value before the clamp is known to lie within int32.
    """

    low: int
    high: int
    zero_point: int
    slopes: bool = False
    inner: tuple[float, float] | None = None
    residual: Operand | None = None
    fits: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What lies between the multiplication and the clamp."""
        slopes = [Slopes()] * self.slopes
        inner = [] if self.inner is None else [Bounds(*self.inner)]
        return (*slopes, *inner, *([] if self.residual is None else [Add(self.residual)]))


@dataclass(frozen=True)
class ConvShape:
    """A convolution that keeps the size of what it reads, of whatever numbers.

    One with a stride reads its input *in phases*, as `SpaceToDepth` lays it out: of each block of channels the pixels
    that a step of the stride skips lie one block after the other. So it computes as many rows and columns as it reads,
    and neighbouring pixels of its output read neighbouring words.

    Attributes:
        source: the input's blocks, those of all phases.
        channels: output channels.
        groups: of input and output channels.
        kernel: (height, width).
        pads: (top, left) zero padding, in pixels before they are laid into phases.
        dilation: (vertical, horizontal), in such pixels.
        stride: (vertical, horizontal).
    """

    source: View
    channels: int
    groups: int
    kernel: tuple[int, int]
    pads: tuple[int, int]
    dilation: tuple[int, int]
    stride: tuple[int, int] = field(default=(1, 1), kw_only=True)

    @property
    def reach(self) -> Pair:
        """Rows and columns between the first place that is read and the last: the padding on both sides together."""
        return reach(self.kernel, self.dilation, self.pads, self.stride)

    @property
    def above(self) -> Pair:
        """Rows and columns read before a place."""
        return above(self.pads, self.stride)

    @property
    def phases(self) -> int:
        """Blocks in which the pixels of a block of channels lie."""
        return self.stride[0] * self.stride[1]

    @property
    def inputs(self) -> int:
        """Blocks of input channels of a group."""
        return self.source.count // self.phases // self.groups

    @property
    def low_inputs(self) -> int:
        """Blocks of input channels of a group whose low bytes are read."""
        return self.source.low_count // self.phases // self.groups


@dataclass(frozen=True)
class Conv(ConvShape):
    """An integer convolution, with its requantization. Output channels are a multiple of 4 (padded ones have zero
    weights), input blocks and output blocks multiples of the groups.

    Attributes:
        requantize: the epilogue.
        target: blocks the output is written to; `channels` / 4 of them.
        pixels: not None: the output is a picture, and ``target`` is not used.
        symmetric: no weight is -128, which some instruction sets have faster instructions for.
        algorithms: those beyond the direct one that are proved to give its bits, see `toolchain.kernels.algorithms`.
    """

    requantize: Requantize
    target: View
    pixels: DepthToSpace | None = None
    symmetric: bool = False
    algorithms: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What lies between the multiplication and the clamp."""
        return self.requantize.stages

    @property
    def residual(self) -> Operand | None:
        """What is added."""
        return self.requantize.residual

    @property
    def others(self) -> tuple[Operand, ...]:
        """What is read besides the source."""
        return () if self.residual is None else (self.residual,)


Combine: TypeAlias = Literal["sum", "product", "min", "max"]
"""What is made of two operands' numbers."""


@dataclass(frozen=True)
class Elementwise:
    """Two packed tensors combined number by number, requantized, such as the quantized add; or the change of scale of a
    single tensor.

    Attributes:
        operands: one or two.
        requantize: activation, bounds and zero point of the output; its ``residual`` and ``inner`` stay empty.
        target: blocks the output is written to.
        combine: how two become one.
    """

    operands: tuple[Operand, ...]
    requantize: Requantize
    target: View
    combine: Combine = "sum"


@dataclass(frozen=True)
class GlobalPool:
    """The mean of each channel over the whole picture, or its largest number, as a packed tensor of a single pixel.

    Attributes:
        source: what is read.
        average: the mean, not the largest.
        zero_point: of the source.
        shift: bits behind the point of a mean of codes.
        multiplier: float32 value of the source's scale over the output's, divided by 2**shift.
        requantize: bounds and zero point of the output; nothing else.
        target: blocks the output is written to, as many as are read.
    """

    source: View
    average: bool
    zero_point: int
    shift: int
    multiplier: float
    requantize: Requantize
    target: View


@dataclass(frozen=True)
class ChannelPool:
    """The smallest or the largest of every pixel's numbers, requantized, as a tensor of one channel.

    Attributes:
        source: what is read: channel c in slot c.
        channels: of it; what lies behind them in a block counts as none.
        kind: "min" or "max".
        zero_point, multiplier: of the source, and float32 of its scale over the output's.
        requantize: bounds and zero point of the output; nothing else.
        target: the block that the output is written to.
    """

    source: View
    channels: int
    kind: Literal["min", "max"]
    zero_point: int
    multiplier: float
    requantize: Requantize
    target: View


@dataclass(frozen=True)
class Normalization:
    """Every pixel's numbers less their mean over channels, over their standard deviation, times a gain and plus an
    offset of the channel; see `toolchain.reference.normalization` for the arithmetic.

    Attributes:
        source: what is read: channel c in slot c.
        channels: of both; what lies behind them in a block counts as none.
        spread: float32 of the source's scale squared over the third power of ``channels``.
        epsilon: added to the variance.
        requantize: bounds and zero point of the output; nothing else.
        target: blocks the output is written to, as many as are read.
    """

    source: View
    channels: int
    spread: float
    epsilon: float
    requantize: Requantize
    target: View


@dataclass(frozen=True)
class Pack:
    """The picture of ``channels`` channels as packed words with zero point 0, into ``target``."""

    channels: int
    target: View


@dataclass(frozen=True)
class Draw:
    """The picture from packed words that no convolution draws itself."""

    source: View
    pixels: DepthToSpace


@dataclass(frozen=True)
class Shuffle:
    """Depth-to-space between kernels: the codes of ``source`` as a larger ``target``, whose ``zero_point`` fills the
    channels that are none.
    """

    source: View
    pixels: DepthToSpace
    target: View
    zero_point: int


@dataclass(frozen=True)
class Lookup:
    """A table of what becomes of every code.

    Attributes:
        source: what is looked up.
        first: the code of the table's first entry; codes below are taken for it, codes above the last for the last.
        entries: of the table.
        rows: 1, or a row for each channel of the target's blocks.
        zero_point: of the result.
        target: blocks the output is written to.
        steps: of one from 16 bits to 8: by how much it grows and falls at most while the low byte of codes does.
    """

    source: Addend
    first: int
    entries: int
    rows: int
    zero_point: int
    target: View
    steps: tuple[int, int] | None = None


@dataclass(frozen=True)
class Interpolate:
    """Interpolation of a packed tensor by integers, see `toolchain.frontend.fixed_point`, requantized.

    Attributes:
        source: the blocks that are read; channel c of the result is their channel c.
        resizing: how.
        zero_point: of the source.
        dropped: bits that are rounded off the sums of rows.
        multiplier: float32 of a step of the sums over the output's scale.
        requantize: residual, which is as large as the output, activation, bounds and zero point of the output.
        target: blocks the output is written to, as many as are read.
    """

    source: View
    resizing: Resizing
    zero_point: int
    dropped: int
    multiplier: float
    requantize: Requantize
    target: View


@dataclass(frozen=True)
class Move:
    """A packed tensor made of another: pixel (y, x) is the source's (y - top, x - left).

    Attributes:
        source: the blocks that are read.
        target: as many blocks that are written.
        window: how much is added or cut; where nothing is, ``border`` says how far the picture goes on around itself.
        fill: the code of added pixels where the window's mode is "constant".
        zero_point: what surrounds the picture, but for the border.
        border: rows and columns around the picture that are continued too, in the window's mode.
    """

    source: View
    target: View
    window: Window
    fill: int
    zero_point: int
    border: int = 0


Operation: TypeAlias = (
    Conv
    | Elementwise
    | Lookup
    | Pack
    | Draw
    | Shuffle
    | Interpolate
    | Move
    | GlobalPool
    | ChannelPool
    | Normalization
    | SpaceToDepth
    | Pool
)
"""What a kernel of a quantized network computes."""
