"""What a float kernel computes, apart from how it is scheduled. Values, not code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from toolchain.kernels.spec import ConvShape, Pixels, View

INFINITY = float("inf")


@dataclass(frozen=True)
class FloatActivation:
    """``max(low, min(high, x))``; where ``slopes``, negative values are multiplied by their channel's slope instead."""

    low: float = -INFINITY
    high: float = INFINITY
    slopes: bool = False


@dataclass(frozen=True)
class FloatOperand:
    """A packed tensor as a term of a sum: output channel c takes the view's channel ``c // divide % modulo``."""

    view: View
    divide: int
    modulo: int


@dataclass(frozen=True)
class FloatConv(ConvShape):
    """A float convolution, with what follows it. Blocks are channels.

    Attributes:
        target: channels of the buffer that the output is written to.
        before: activation before the residual, or the only one.
        residual: a tensor that is added.
        after: activation after the residual.
        pixels: not None: the output is a picture, and ``target`` is not used.
        gain: codes of the picture for 1.0, where the output is a picture.
    """

    target: View
    before: FloatActivation | None = None
    residual: FloatOperand | None = None
    after: FloatActivation | None = None
    pixels: Pixels | None = None
    gain: float = 255.0


@dataclass(frozen=True)
class FloatSum:
    """The sum of one or two packed tensors, and an activation; with one term and none, a copy."""

    operands: tuple[FloatOperand, ...]
    after: FloatActivation | None
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
    pixels: Pixels
    gain: float


FloatOperation: TypeAlias = FloatConv | FloatSum | FloatPack | FloatDraw
"""What a kernel of a float network computes."""
