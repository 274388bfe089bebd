"""What is tuned: a kernel at a picture size and a number of threads, without what does not touch its speed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolchain.kernels.layout import PACK, Geometry
from toolchain.kernels.phases import reach
from toolchain.kernels.spec import Conv, DepthToSpace, View

if TYPE_CHECKING:
    from toolchain.kernels.intrinsics.dot import Dot
    from toolchain.lower import Kernel

_ZERO_POINT = 128


@dataclass(frozen=True)
class Task:
    """A kernel to tune.

    Attributes:
        conv: the kernel, in the form of `normal`.
        height, width: pixels of its output, before any depth-to-space.
        threads: it runs on; 0 for an OpenCL device.
        picture: channels of the picture that it reads itself; 0: its source is a packed tensor, as all are on CPUs.
        anchor: channels of the picture that it adds; 0: a packed tensor, or nothing.
    """

    conv: Conv
    height: int
    width: int
    threads: int
    picture: int = 0
    anchor: int = 0

    @property
    def kernel(self) -> tuple[Conv, int, int]:
        """What is compiled: it takes any size."""
        return self.conv, self.picture, self.anchor

    def geometry(self, dot: Dot) -> Geometry:
        """Return the geometry of the packed tensors it is tuned on."""
        conv = self.conv
        behind = (reach - before for reach, before in zip(conv.reach, conv.above, strict=True))
        return Geometry(max(1, *conv.above, *behind), dot.columns, dot.offset)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one call."""
        conv = self.conv
        taps = conv.inputs * PACK * conv.kernel[0] * conv.kernel[1]
        return conv.channels * taps * self.height * self.width

    def __str__(self) -> str:
        reads = ", from the picture" * bool(self.picture)
        runs = f", {threads(self.threads)}" * bool(self.threads)
        return f"{describe(self.conv)}{reads}, {self.height}x{self.width}{runs}"


@dataclass(frozen=True)
class Demand:
    """Why a task is wanted: for pictures of ``height`` x ``width``, ``times`` for each run of the networks."""

    height: int
    width: int
    times: int


def tasks_of(
    networks: Iterable[Sequence[Kernel[Conv]]], sizes: Sequence[tuple[int, int]], counts: Sequence[int]
) -> dict[Task, Demand]:
    """Return the tasks of some networks for pictures of ``sizes`` (height, width) on ``counts`` threads: equal kernels
    of one network or of several are one task. Those on a single pixel take no time.
    """
    kernels = Counter((normal(kernel.conv), kernel.scale) for network in networks for kernel in network if kernel.scale)
    return {
        Task(conv, math.ceil(height * scale), math.ceil(width * scale), count): Demand(height, width, times)
        for height, width in sizes
        for count in counts
        for (conv, scale), times in kernels.items()
    }


def normal(conv: Conv) -> Conv:
    """``conv`` without what does not change its speed: the values of its quantization, its place in larger buffers,
    on which sides it pads, and the order of a pixel shuffle; and as if all codes had 8 bits: sums over two bytes take
    the tiles of sums over one.
    """
    given = conv.requantize
    inner = given.inner and (0.0, float("inf") if given.inner[1] == float("inf") else 64.0)
    residual = given.residual and replace(
        given.residual, view=_alone(given.residual.view), zero_point=_ZERO_POINT, multiplier=0.5
    )
    requantize = replace(
        given,
        low=-_ZERO_POINT,
        high=255 - _ZERO_POINT,
        zero_point=_ZERO_POINT,
        inner=inner,
        residual=residual,
        fits=True,
    )
    rows, columns = reach(conv.kernel, conv.dilation)
    pixels = conv.pixels
    if pixels is not None:
        pixels = DepthToSpace(pixels.scale, pixels.channels, tuple(range(len(pixels.table))))
    return replace(
        conv,
        source=_alone(conv.source),
        target=_alone(conv.target),
        pads=(rows // 2, columns // 2),
        requantize=requantize,
        pixels=pixels,
        symmetric=False,
    )


def describe(conv: Conv) -> str:
    """Return a kernel in a few words, with channels as they are padded: ``3x3 32->28, groups 4, pixels x3``."""
    parts = [f"{conv.kernel[0]}x{conv.kernel[1]} {conv.inputs * conv.groups * PACK}->{conv.channels}"]
    parts += [f"groups {conv.groups}"] * (conv.groups > 1)
    parts += [f"stride {conv.stride[0]}"] * (max(conv.stride) > 1)
    parts += [f"dilation {conv.dilation[0]}"] * (max(conv.dilation) > 1)
    parts += ["slopes"] * conv.requantize.slopes
    parts += ["inner bounds"] * (conv.requantize.inner is not None)
    parts += ["residual"] * (conv.requantize.residual is not None)
    parts += [f"pixels x{conv.pixels.scale}"] if conv.pixels else []
    return ", ".join(parts)


def threads(count: int) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{count} thread{'s' * (count != 1)}"


def _alone(view: View) -> View:
    return View(view.count, 0, view.count)
