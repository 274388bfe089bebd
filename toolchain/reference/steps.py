"""The steps of a quantized network: what each makes of tensors of codes.

Two readers find them: `toolchain.reference.program` in the ONNX graph, for NumPy to run, and `toolchain.lower.chain` in
the Relax module, for kernels to be made of. They share these types and nothing else: one is the other's witness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.fixed_point import Resizing
from toolchain.frontend.window import Window
from toolchain.reference.convolution import Convolution
from toolchain.reference.quantization import CodeArray, Quantization


@dataclass(frozen=True)
class Codes:
    """A tensor of codes and how they are read. ``tensor``: its name in an ONNX graph, its variable in Relax."""

    tensor: Any
    quantization: Quantization


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation inside a kernel: real bounds (ReLU and Clip), or float32 ``slopes`` below 0 (PReLU and LeakyReLU),
    one for each channel or a single one.
    """

    low: float = -np.inf
    high: float = np.inf
    slopes: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class InputStep:
    """Pixels become codes as they are."""

    out: Codes

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return ()


@dataclass(frozen=True, eq=False)
class ConvStep:
    """Convolution, activation, residual, last activation, requantization.

    Attributes:
        out: the result.
        accumulator: the float tensor that the convolution itself makes.
        source: what it reads.
        convolution: up to its int32 accumulators.
        weight_scale: float32 (O,).
        before: activation before the residual; None where nothing is added.
        residual: what is added, of as many channels or of one.
        after: the last activation.
    """

    out: Codes
    accumulator: Any
    source: Codes
    convolution: Convolution
    weight_scale: NDArray[np.float32]
    before: Activation | None
    residual: Codes | None
    after: Activation | None

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return (self.source,) if self.residual is None else (self.source, self.residual)


@dataclass(frozen=True, eq=False)
class SumStep:
    """The sum of two tensors, of which one may have a single channel, activation, requantization; or of one alone."""

    out: Codes
    terms: tuple[Codes, ...]
    after: Activation | None

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return self.terms


@dataclass(frozen=True, eq=False)
class ConcatStep:
    """Channels side by side; parts with another quantization are requantized."""

    out: Codes
    parts: tuple[Codes, ...]

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return self.parts


@dataclass(frozen=True, eq=False)
class _OfOne:
    """What is made of one tensor."""

    out: Codes
    source: Codes

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class SelectStep(_OfOne):
    """Some channels of a tensor, in any order: codes as they are."""

    channels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class WindowStep(_OfOne):
    """Codes cut, or continued, at the picture's borders: codes as they are. ``fill``: the code of added pixels where
    the window's mode is "constant".
    """

    window: Window
    fill: int


@dataclass(frozen=True, eq=False)
class TableStep(_OfOne):
    """A function of each code alone, whatever it is: a table of what becomes of every code.

    Attributes:
        out: the result.
        source: what it reads; of one channel where several rows make several of it.
        table: codes of the result, of its type: (1, codes) for all channels, or a row for each.
    """

    table: CodeArray


@dataclass(frozen=True, eq=False)
class ResizeStep:
    """Interpolation by integers, residual, activation, requantization.

    Attributes:
        out: the result.
        source: what is interpolated.
        resizing: how.
        residual: what is added, of as many channels or of one.
        after: the last activation.
        picture: the network's input, where the result's size is of that.
    """

    out: Codes
    source: Codes
    resizing: Resizing
    residual: Codes | None
    after: Activation | None
    picture: Codes | None = None

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads, if only their sizes."""
        return tuple(codes for codes in (self.source, self.residual, self.picture) if codes is not None)


@dataclass(frozen=True, eq=False)
class ProductStep:
    """The product of two tensors, of which each may have a single channel or a single pixel, activation,
    requantization. Where one of them alone has a single pixel, it is the second.
    """

    out: Codes
    factors: tuple[Codes, Codes]
    after: Activation | None

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return self.factors


@dataclass(frozen=True, eq=False)
class ExtremeStep:
    """The smaller or the larger of two tensors' numbers, of which each may have a single channel or a single pixel,
    activation, requantization.
    """

    out: Codes
    terms: tuple[Codes, Codes]
    kind: Literal["min", "max"]
    after: Activation | None

    @property
    def reads(self) -> tuple[Codes, ...]:
        """The tensors that it reads."""
        return self.terms


@dataclass(frozen=True, eq=False)
class GlobalPoolStep(_OfOne):
    """The mean of each channel over the whole picture, or its largest number: a tensor of a single pixel."""

    kind: Literal["average", "max"]
    after: Activation | None


@dataclass(frozen=True, eq=False)
class ChannelPoolStep(_OfOne):
    """The smallest or the largest of every pixel's numbers, activation, requantization: a tensor of one channel."""

    kind: Literal["min", "max"]
    after: Activation | None


@dataclass(frozen=True, eq=False)
class NormalizationStep(_OfOne):
    """Every pixel's numbers less their mean over channels, over their standard deviation, requantized.

    Attributes:
        out: the result.
        source: what it reads.
        gains, offsets: float32 (C,), by which the result is multiplied, and what is then added.
        epsilon: added to the variance.
    """

    gains: NDArray[np.float32]
    offsets: NDArray[np.float32]
    epsilon: float


@dataclass(frozen=True, eq=False)
class SpaceToDepthStep(_OfOne):
    """Squares of ``size`` x ``size`` pixels side by side as channels, the square's row first, then its column, then the
    channel: codes as they are.
    """

    size: int


@dataclass(frozen=True, eq=False)
class _WindowsStep(_OfOne):
    """What is made of every window of pixels; what lies outside of the picture does not count.

    Attributes:
        out, source: the result and what it is made of.
        kernel, strides, dilations: (rows, columns).
        pads: top, left, bottom, right.
        ceil: windows that reach beyond the padding at the end count too, where they begin within the picture.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int] = (1, 1)
    ceil: bool = False

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns between a window's first pixel and its last."""
        rows, columns = ((size - 1) * step for size, step in zip(self.kernel, self.dilations, strict=True))
        return rows, columns

    def output_side(self, side: int, axis: int) -> int:
        """Return rows (``axis`` 0) or columns (1) of the result for so many of the source."""
        stride, before = self.strides[axis], self.pads[axis]
        left = side + before + self.pads[axis + 2] - self.reach[axis] - 1
        count = (-(-left // stride) if self.ceil else left // stride) + 1
        return count - (self.ceil and (count - 1) * stride >= side + before)


@dataclass(frozen=True, eq=False)
class PoolStep(_WindowsStep):
    """The largest code of every window, in the quantization of what it reads."""


@dataclass(frozen=True, eq=False)
class AverageStep(_WindowsStep):
    """The mean of every window, activation, requantization."""

    after: Activation | None = None


IntegerStep: TypeAlias = (
    InputStep
    | ConvStep
    | SumStep
    | ConcatStep
    | SelectStep
    | WindowStep
    | TableStep
    | ResizeStep
    | ProductStep
    | ExtremeStep
    | GlobalPoolStep
    | ChannelPoolStep
    | NormalizationStep
    | SpaceToDepthStep
    | PoolStep
    | AverageStep
)
"""What both readers know; each has a depth-to-space of its own besides."""
