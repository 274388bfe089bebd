"""What a float kernel computes, apart from how it is scheduled. Values, not code. Blocks are channels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from toolchain.frontend.resize import Sampling
from toolchain.kernels.formula import FloatStage, operands_of
from toolchain.kernels.phases import Pool, SpaceToDepth
from toolchain.kernels.spec import Addend, ConvShape, DepthToSpace, View


@dataclass(frozen=True)
class FloatConv(ConvShape):
    """A float convolution, with what follows it.

    Attributes:
        target: channels of the buffer that the output is written to.
        stages: what follows the sums, in order.
        pixels: not None: the output is a picture, and ``target`` is not used.
        gain: codes of the picture for 1.0, where the output is a picture.
    """

    target: View
    stages: tuple[FloatStage, ...] = ()
    pixels: DepthToSpace | None = None
    gain: float = 255.0

    @property
    def others(self) -> tuple[Addend, ...]:
        """What the stages read."""
        return operands_of(self.stages)


@dataclass(frozen=True)
class FloatSum:
    """The sum of one or two packed tensors, and what follows it; of one tensor and nothing, a copy."""

    operands: tuple[Addend, ...]
    stages: tuple[FloatStage, ...]
    target: View

    @property
    def others(self) -> tuple[Addend, ...]:
        """What the stages read besides."""
        return operands_of(self.stages)


@dataclass(frozen=True)
class FloatPack:
    """The picture's codes times ``step``, a channel each, into ``target``."""

    target: View
    step: float


@dataclass(frozen=True)
class FloatDraw:
    """The picture, ``gain`` codes for 1.0, from packed floats that no convolution draws itself."""

    source: View
    pixels: DepthToSpace
    gain: float


@dataclass(frozen=True)
class FloatShuffle:
    """Depth-to-space between kernels: the numbers of ``source`` as a larger ``target``."""

    source: View
    pixels: DepthToSpace
    target: View


@dataclass(frozen=True)
class FloatGlobalPool:
    """The mean of each channel over the whole picture, or its largest number, as a packed tensor of a single pixel."""

    source: View
    average: bool
    target: View


@dataclass(frozen=True)
class FloatPhase:
    """One of the outputs that an input becomes, where all inputs become the same: weights of the input that is
    ``first`` places behind its own, and of those that follow.
    """

    first: int
    weights: tuple[float, ...]


@dataclass(frozen=True)
class FloatEnlarge:
    """Every number of ``source`` becomes ``phases`` in each direction; beyond the border is what stands there."""

    source: View
    phases: tuple[FloatPhase, ...]
    target: View

    @property
    def surroundings(self) -> tuple[int, int]:
        """Rows above and below a row that what it becomes is made of."""
        lasts = (phase.first + len(phase.weights) - 1 for phase in self.phases)
        return max(0, *(-phase.first for phase in self.phases)), max(0, *lasts)


@dataclass(frozen=True)
class FloatSample:
    """Interpolation by any factors, or to the size of the result where they are None; see
    `toolchain.frontend.resize`.
    """

    source: View
    sampling: Sampling
    factors: tuple[Fraction, Fraction] | None
    target: View


@dataclass(frozen=True)
class FloatNormalization:
    """Every pixel's numbers less their mean over channels, over their standard deviation (``epsilon`` is added to the
    variance), times a gain and plus an offset of the channel.
    """

    source: View
    epsilon: float
    target: View


FloatOperation: TypeAlias = (
    FloatConv
    | FloatSum
    | FloatPack
    | FloatDraw
    | FloatShuffle
    | FloatGlobalPool
    | FloatEnlarge
    | FloatSample
    | FloatNormalization
    | SpaceToDepth
    | Pool
)
"""What a kernel of a float network computes."""
