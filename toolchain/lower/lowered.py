"""What lowering hands to the build: a module whose ``main`` calls integer kernels, and what those kernels are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeAlias, TypeVar

from toolchain.frontend.window import Window
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import NOTHING, Needs, Stream, Tensor
from toolchain.kernels.spec import Conv, ConvShape
from toolchain.kernels.tile import Tile
from toolchain.lower.calls import Extent, Launch

Spec = TypeVar("Spec", bound=ConvShape)
"""What a convolution kernel computes: `toolchain.kernels.spec.Conv` or `toolchain.kernels.float_spec.FloatConv`."""


@dataclass(frozen=True)
class Kernel(Generic[Spec]):
    """A convolution kernel of the module, not yet scheduled.

    Attributes:
        name: of the function in the module.
        conv: what it computes.
        work: true multiply-accumulates per pixel of its output (padding channels not counted).
        enlarged: pixels of its output for one pixel of the picture; 0 where it has a single one.
        needs: what it wants of those who call it.
    """

    name: str
    conv: Spec
    work: int
    enlarged: Fraction | int
    needs: Needs = NOTHING

    @property
    def macs(self) -> int:
        """Multiply-accumulates per pixel of the picture."""
        return int(self.work * self.enlarged)

    @property
    def scale(self) -> Fraction | int:
        """Pixels of its output for one pixel of the picture, in each direction."""
        size = Fraction(self.enlarged)
        root = Fraction(math.isqrt(size.numerator), math.isqrt(size.denominator))
        return root.numerator if root.denominator == 1 else root


Choose: TypeAlias = Callable[[Kernel[Conv], int], Tile]
"""The tile of a kernel, with so many pixels in a column tile."""


@dataclass(frozen=True)
class Coverage:
    """How much of a network's arithmetic is integer, or for a float network, is done by our kernels.

    Attributes:
        integer_convolutions, convolutions: counts.
        integer_macs, macs: multiply-accumulates per low-resolution pixel.
        float_operators: names of operators that stayed float, in order, with repetition.
    """

    integer_convolutions: int
    convolutions: int
    integer_macs: int
    macs: int
    float_operators: tuple[str, ...]

    def __str__(self) -> str:
        share = 100.0 * self.integer_macs / self.macs if self.macs else 100.0
        text = f"integer coverage: {self.integer_convolutions}/{self.convolutions} convolutions, {share:.1f} % of MACs"
        return text + (f"; float: {', '.join(self.float_operators)}" if self.float_operators else "")


@dataclass(frozen=True)
class Rehearsal:
    """What is known of a deployment as soon as the network is lowered.

    Attributes:
        coverage: what is integer and what is not.
        layered: the operators of the ONNX model, as far as known, through which no rows stream; None where they stream
            through all of it, or where a device runs it.
        segments: of kernels that rows stream through; tensors between them are whole.
    """

    coverage: Coverage
    layered: tuple[str, ...] | None = None
    segments: int = 0


@dataclass(frozen=True, eq=False)
class Network:
    """A network that is nothing but kernels.

    Attributes:
        launches: its kernels, in order of execution.
        tensors: what is between them.
        extents: of the tensors.
        sides: the picture's height and width in units, in which extents are expressed.
        unit: the picture's sides are multiples of it.
    """

    launches: tuple[Launch, ...]
    tensors: tuple[Tensor, ...]
    extents: tuple[Extent, ...]
    sides: Extent
    unit: int = 1


@dataclass(frozen=True)
class Frame:
    """What is added around the picture, a color where it is constant, and what is cut off: pixels of the result at the
    top, left, bottom and right.
    """

    added: Window
    fill: int
    cut: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Lowered(Generic[Spec]):
    """The lowered network.

    Attributes:
        module: Relax module, ``main(u8[h, w, c]) -> u8[h*s, w*s, c]``.
        kernels: its convolution kernels, in order of execution.
        geometry: of its packed tensors.
        coverage: what is integer and what is not.
        launches: its kernels on packed tensors, in order of execution.
        network: all of ``main`` as kernels; None where it is more than that.
        origins: the operators of the ONNX model for which it is more than that, such as "Tanh 'act'"; as far as known.
        whole: the operators of the ONNX model whose kernels want whole tensors: rows cannot stream through.
        segments: how rows stream through parts of ``main``, in order; none where it runs layer by layer.
        alone: kernels that run on whole tensors.
        frame: what ``main`` adds to the picture first and cuts off at last; the rest is of what lies between.
    """

    module: Any
    kernels: tuple[Kernel[Spec], ...]
    geometry: Geometry
    coverage: Coverage
    launches: tuple[Launch, ...] = ()
    network: Network | None = None
    origins: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    segments: tuple[Stream, ...] = ()
    alone: tuple[str, ...] = ()
    frame: Frame | None = None

    @property
    def stream(self) -> Stream | None:
        """How pictures stream through all of ``main``; None where that is more than one segment."""
        one = len(self.segments) == 1 and self.network is not None and not self.alone and not self.whole
        return self.segments[0] if one else None

    @property
    def rehearsal(self) -> Rehearsal:
        """What a deployment for a CPU does."""
        through = None if self.network is not None and not self.whole else (*self.origins, *self.whole)
        return Rehearsal(self.coverage, through, len(self.segments))
