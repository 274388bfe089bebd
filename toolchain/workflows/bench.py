"""Timing a bundle, wherever it runs: right first, then fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from toolchain.backends.open import load, load_in_tvm, load_on
from toolchain.bundle import Bundle
from toolchain.runtime.measure import Timing, TimingPlan, measure, summarize
from toolchain.runtime.streams import throughput
from toolchain.runtime.verify import compare, standard_for
from toolchain.support.cores import choose, pinned, these_cores
from toolchain.support.cpu import Cpu, this_cpu
from toolchain.support.energy import energy_now
from toolchain.support.errors import InputError

Pixels = npt.NDArray[np.uint8]

HOT = 1.1
"""Drift from which on a machine is said to grow slower."""

_FUNCTION_REPEATS = 10
_MOST_SECONDS = 5.0  # that streams run


class Machine(Protocol):
    """Something that runs one network: this machine, or a board."""

    @property
    def cpu(self) -> Cpu:
        """Its processor."""

    @property
    def threads(self) -> int:
        """How many threads are worth a try."""

    def cores(self, threads: int) -> tuple[int, ...]:
        """Return numbers of the cores that so many threads run on; empty: wherever its system puts them."""

    def upscale(self, pixels: Pixels) -> Pixels:
        """u8 (h, w, C) to u8 (h*scale, w*scale, C)."""

    def times(self, pixels: Pixels, threads: int, plan: TimingPlan) -> list[float]:
        """Return seconds of each repeat on u8 (h, w, C)."""

    def functions(self, pixels: Pixels, threads: int, repeats: int) -> dict[str, float]:
        """Return seconds that each function of the network takes of a picture u8 (h, w, C)."""


class HostMachine:
    """The machine that clipfree runs on.

    Args:
        bundle: what it runs.
        threads: of ``upscale``; None for every core.
        cpus: which cores are timed, see `toolchain.support.cores.choose`.

    Raises:
        BundleError: it cannot run the bundle.
        InputError: it has no such cores.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None, cpus: str | None = None) -> None:
        self._bundle, self._cpus, self._cores = bundle, cpus, these_cores()
        self.cpu = this_cpu()
        self.threads = len(self.cores(1)) or self.cpu.cores
        self.upscale = load(bundle, threads=threads).upscale

    def cores(self, threads: int) -> tuple[int, ...]:
        """Return numbers of the cores that so many threads run on; empty: wherever the system puts them."""
        return choose(self._cores, self._cpus, threads)

    def times(self, pixels: Pixels, threads: int, plan: TimingPlan) -> list[float]:
        """Return seconds of each repeat on u8 (h, w, C)."""
        with pinned(self.cores(threads)):
            return measure(load(self._bundle, threads=threads).bind(pixels), plan)

    def functions(self, pixels: Pixels, threads: int, repeats: int) -> dict[str, float]:
        """Return seconds that each function of the network takes of a picture u8 (h, w, C)."""
        with pinned(self.cores(threads)):
            return load_in_tvm(self._bundle, threads=threads).functions(pixels, repeats)

    def first(self, pixels: Pixels, threads: int) -> float:
        """Return seconds from opening the library, which the system has in memory, to its first u8 (h, w, C)."""
        begin = time.perf_counter()
        load(self._bundle, threads=threads).upscale(pixels)
        return time.perf_counter() - begin

    def throughput(self, pixels: Pixels, threads: int, streams: int, plan: TimingPlan) -> float:
        """Return pictures u8 (h, w, C) a second of ``streams`` at once, each on so many threads of its own."""
        with pinned(self.cores(min(threads * streams, self.threads))):
            return throughput(
                lambda: load(self._bundle, threads=threads).bind(pixels),
                streams,
                seconds=min(plan.seconds, _MOST_SECONDS),
                warm_up=plan.warm_up,
            )

    def energy(self, pixels: Pixels, threads: int, plan: TimingPlan) -> float | None:
        """Return joules that this machine's processors use for a picture u8 (h, w, C), everything else that they do
        included; None where the system does not tell.
        """
        before = energy_now()
        if before is None:
            return None
        with pinned(self.cores(threads)):
            call = load(self._bundle, threads=threads).bind(pixels)
            call()
            before = energy_now()
            times = measure(call, replace(plan, warm_up=0, cool_down=0.0))
            after = energy_now()
        return None if before is None or after is None else after.since(before) / len(times)


class OnDevice:
    """An OpenCL device of this machine, as the user calls it; all its cores count as one thread.

    Attributes:
        threads: 1.

    Raises:
        BundleError: the bundle holds no OpenCL kernels.
        TargetError: there is no such device, or it cannot run them.
    """

    threads = 1

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._runner = load_on(bundle, device)
        self.cpu = replace(this_cpu(), name=self._runner.name, cores=1)
        self.upscale = self._runner.upscale

    def cores(self, _threads: int) -> tuple[int, ...]:
        """None that have numbers."""
        return ()

    def times(self, pixels: Pixels, _threads: int, plan: TimingPlan) -> list[float]:
        """Return seconds of each repeat on u8 (h, w, C), transfers included."""
        return measure(self._runner.bind(pixels), plan)

    def functions(self, pixels: Pixels, _threads: int, repeats: int) -> dict[str, float]:
        """Return seconds of each kernel on u8 (h, w, C), as the device counts them."""
        return self._runner.functions(pixels, repeats)


@dataclass(frozen=True)
class BenchRow:
    """Figures for a number of threads.

    Attributes:
        threads: how many.
        cores: numbers of those that they ran on; empty: wherever the system put them.
        timing: of the network.
        functions: seconds of each function of the network, if asked for.
        first: seconds from opening the library to its first picture; None where it is not this machine's processor.
        streams: pictures a second of several streams at once, by their number.
        joules: of the processors for a picture; None where the system does not tell.
    """

    threads: int
    cores: tuple[int, ...]
    timing: Timing
    functions: Mapping[str, float] = field(default_factory=dict)
    first: float | None = None
    streams: Mapping[int, float] = field(default_factory=dict)
    joules: float | None = None


def bench(
    machine: Machine,
    bundle: Bundle,
    size: tuple[int, int],
    threads: Sequence[int],
    plan: TimingPlan,
    *,
    functions: bool = False,
    streams: Sequence[int] = (),
) -> Iterator[BenchRow]:
    """Time a bundle on noise of ``size`` (height, width), for each number of threads (default: 1 and all).

    Args:
        machine: what runs it.
        bundle: what is timed.
        size: of the picture.
        threads: numbers of them.
        plan: how often.
        functions: time each function of the network too.
        streams: numbers of streams that run at once, each on so many threads as its row says.

    Raises:
        InputError: the machine has fewer cores than threads, or is none that runs streams.
        VerificationError: its golden picture comes out otherwise on this machine; nothing is timed then.
        BoardError: the machine is a board, and was lost.
    """
    here = machine if isinstance(machine, HostMachine) else None
    if streams and here is None:
        raise InputError("streams run on this machine's processor only", hint="leave --streams away")
    runs = {count: machine.cores(count) for count in sorted(set(threads or [1, machine.threads]))}
    picture, expected = bundle.golden()
    standard = standard_for(bundle.manifest.precision, bundle.manifest.coverage.float_operators)
    compare("golden picture", machine.upscale(picture), expected, standard)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, bundle.manifest.channels), dtype=np.uint8)
    for count, cores in runs.items():
        first = None if here is None else here.first(pixels, count)
        timing = summarize(machine.times(pixels, count, plan), warm_up=plan.warm_up)
        yield BenchRow(
            count,
            cores,
            timing,
            machine.functions(pixels, count, _FUNCTION_REPEATS) if functions else {},
            first,
            {} if here is None else {one: here.throughput(pixels, count, one, plan) for one in streams},
            None if here is None else here.energy(pixels, count, plan),
        )
