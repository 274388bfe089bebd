"""What a float kernel computes, apart from how it is scheduled. Values, not code. Blocks are channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from toolchain.kernels.spec import Add, Addend, ConvShape, DepthToSpace, Stage, View


@dataclass(frozen=True)
class FloatConv(ConvShape):
    """A float convolution, with what follows it.

    Attributes:
        target: channels of the buffer that the output is written to.
        stages: what follows the sums, in order; one tensor may be added.
        pixels: not None: the output is a picture, and ``target`` is not used.
        gain: codes of the picture for 1.0, where the output is a picture.
    """

    target: View
    stages: tuple[Stage, ...] = ()
    pixels: DepthToSpace | None = None
    gain: float = 255.0

    @property
    def residual(self) -> Addend | None:
        """What is added."""
        return next((stage.operand for stage in self.stages if isinstance(stage, Add)), None)


@dataclass(frozen=True)
class FloatSum:
    """The sum of one or two packed tensors, and what follows it; of one tensor and nothing, a copy."""

    operands: tuple[Addend, ...]
    stages: tuple[Stage, ...]
    target: View


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


FloatOperation: TypeAlias = FloatConv | FloatSum | FloatPack | FloatDraw | FloatShuffle
"""What a kernel of a float network computes."""
