"""Timing a bundle, wherever it runs: right first, then fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from toolchain.bundle import Bundle
from toolchain.cpu import Cpu, this_cpu
from toolchain.runtime.measure import Plan, Timing, measure, summarize
from toolchain.verify import compare, standard_for

Pixels = npt.NDArray[np.uint8]

HOT = 1.1
"""Drift from which on a machine is said to grow slower."""

_FUNCTION_REPEATS = 10


class Machine(Protocol):
    """Something that runs one network: this machine, or a board."""

    @property
    def cpu(self) -> Cpu:
        """Its processor."""

    def upscale(self, pixels: Pixels) -> Pixels:
        """u8 (h, w, C) to u8 (h*scale, w*scale, C)."""

    def times(self, pixels: Pixels, threads: int, plan: Plan) -> list[float]:
        """Seconds of each repeat on u8 (h, w, C)."""

    def functions(self, pixels: Pixels, threads: int, repeats: int) -> dict[str, float]:
        """Seconds that each function of the network takes of a picture u8 (h, w, C)."""


class Here:
    """The machine that clipfree runs on.

    Args:
        bundle: what it runs.
        threads: of ``upscale``; None for every core.

    Raises:
        BundleError: it cannot run the bundle.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._bundle = bundle
        self.cpu = this_cpu()
        self.upscale = bundle.load(threads=threads).upscale

    def times(self, pixels: Pixels, threads: int, plan: Plan) -> list[float]:
        """Seconds of each repeat on u8 (h, w, C)."""
        return measure(self._bundle.load(threads=threads).bind(pixels), plan)

    def functions(self, pixels: Pixels, threads: int, repeats: int) -> dict[str, float]:
        """Seconds that each function of the network takes of a picture u8 (h, w, C)."""
        return self._bundle.load(threads=threads).functions(pixels, repeats)


class OnDevice:
    """An OpenCL device of this machine, as the user calls it; all its cores count as one thread.

    Raises:
        BundleError: the bundle holds no OpenCL kernels.
        TargetError: there is no such device, or it cannot run them.
    """

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._runner = bundle.load_on(device)
        self.cpu = replace(this_cpu(), name=self._runner.name, cores=1)
        self.upscale = self._runner.upscale

    def times(self, pixels: Pixels, _threads: int, plan: Plan) -> list[float]:
        """Seconds of each repeat on u8 (h, w, C), transfers included."""
        return measure(self._runner.bind(pixels), plan)

    def functions(self, pixels: Pixels, _threads: int, repeats: int) -> dict[str, float]:
        """Seconds of each kernel on u8 (h, w, C), as the device counts them."""
        return self._runner.functions(pixels, repeats)


@dataclass(frozen=True)
class Row:
    """Figures for a number of threads; ``functions``: seconds of each function of the network, if asked for."""

    threads: int
    timing: Timing
    functions: Mapping[str, float] = field(default_factory=dict)


def bench(
    machine: Machine, bundle: Bundle, size: tuple[int, int], threads: Sequence[int], plan: Plan, *,
    functions: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """Time a bundle on noise of ``size`` (height, width), for each number of threads (default: 1 and all).

    Raises:
        VerificationError: its golden picture comes out otherwise on this machine; nothing is timed then.
        BoardError: the machine is a board, and was lost.
    """
    picture, expected = bundle.golden()
    standard = standard_for(bundle.manifest.precision, bundle.manifest.coverage.float_operators)
    compare("golden picture", machine.upscale(picture), expected, standard)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, bundle.manifest.channels), dtype=np.uint8)
    for count in sorted(set(threads or [1, machine.cpu.cores])):
        timing = summarize(machine.times(pixels, count, plan), warm_up=plan.warm_up)
        yield Row(count, timing, machine.functions(pixels, count, _FUNCTION_REPEATS) if functions else {})
