"""A guess of how long a kernel takes on a device that is not here: occupancy, loads and memory traffic, reckoned from
its cut and the device's figures.

It ranks cuts; it does not tell times. Its terms are cycles of one core: arithmetic, cache lines that loads and stores
touch, and bytes from beyond the core's cache. A core whose registers hold all the work-items it can hold overlaps most
of them; one that is nearly empty does one after the other. In between, what does not overlap grows evenly.

Occupancy follows the vendors' rules. Arm: up to 32 registers all threads fit, up to 64 half of them, beyond that the
compiler spills ("The Valhall Shader Core"; "Mali Bifrost and Valhall OpenCL Developer Guide", 9.6). Adreno: two waves
of 64 share 96 times 4 registers of a lane, 16 waves at most (Mesa's compiler for Adreno, `ir3`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from toolchain.backends.opencl.job import Job
from toolchain.kernels.launch import LaunchConfig, all_cuts, pieces
from toolchain.targets.gpu import Gpu, GpuCore

_FIXED = 6
"""Registers that every work-item needs: its three coordinates, an address, a counter."""

_CLAMPED = 10
"""Operations to read a pixel of a picture by clamped coordinates."""

_EPILOGUE = 8
"""Operations from a sum to a code."""

_OVERLAP = 0.75
"""How much of the smaller terms a full core hides behind the largest: a guess. With 1, traffic would not count at all
where arithmetic takes longest.
"""


@dataclass(frozen=True)
class Estimate:
    """What is expected of a kernel.

    Attributes:
        registers: of 32 bits that a work-item needs.
        occupancy: share of the work-items a core could hold that its registers allow.
        groups: work-groups that a core holds at a time.
        read, written: bytes from and to memory beyond the cores' caches, for a picture.
        lines: cache lines that a warp's load touches, on average: 1 where its loads coalesce.
        cycles: of one core, for a picture; to compare cuts of one kernel by.
    """

    registers: int
    occupancy: float
    groups: int
    read: int
    written: int
    lines: float
    cycles: float


def registers(job: Job, cut: LaunchConfig) -> int:
    """Return registers that a work-item needs: its sums, a row's window of the source, a load of weights."""
    window = cut.pixels + job.window
    # Written out, the next row is read while this one is summed.
    return cut.pixels * cut.channels + window * (2 if cut.unroll else 1) + min(cut.vector, cut.channels) + _FIXED


def fits(job: Job, cut: LaunchConfig, gpu: Gpu) -> bool:
    """Return whether the device can run the kernel without keeping registers in memory.

    Local memory and constant memory set no limit: kernels use neither.
    """
    core, needed = gpu.core, registers(job, cut)
    if cut.channels not in job.channels or needed > core.most_registers:
        return False
    return 0 < prod(cut.group) <= min(gpu.largest_group, _held(needed, core))


def cuts(job: Job, gpu: Gpu, height: int, width: int) -> list[tuple[LaunchConfig, Estimate]]:
    """Return the cuts that the device can run, the best first as far as can be guessed for pictures of ``height`` x
    ``width``.

    Where none can, the smallest is all there is: few output channels of one pixel.
    """
    offered = list(all_cuts(gpu, job.channels, len(job.order), job.window, job.conv.kernel[0]))
    able = [cut for cut in offered if fits(job, cut, gpu)] or offered[:1]
    guessed = [(cut, estimate(job, cut, gpu.core, height, width)) for cut in able]
    return sorted(guessed, key=lambda pair: pair[1].cycles)


def estimate(job: Job, cut: LaunchConfig, core: GpuCore, height: int, width: int) -> Estimate:
    """Return what is expected of a kernel of a network for pictures of ``height`` x ``width``."""
    height, width = (ceil(height * job.scale), ceil(width * job.scale)) if job.scale else (1, 1)
    needed = registers(job, cut)
    items = prod(cut.group)
    resident = _held(needed, core) // items
    groups = [
        ceil(ceil(size / per) / local)
        for size, per, local in zip(
            (width, height, len(job.order)), (cut.pixels, 1, cut.channels), cut.group, strict=True
        )
    ]
    warps = prod(groups) * ceil(items / core.warp)
    traffic = _Traffic(job, cut, core)
    arithmetic = _operations(job, cut, core) * core.warp / core.operations * warps
    read, written = traffic.read(height, width, groups), traffic.written(height, width)
    terms = (arithmetic, traffic.lines * warps, (read + written) / core.bandwidth)
    occupancy = resident * items / core.items
    return Estimate(
        needed,
        occupancy,
        resident,
        read,
        written,
        traffic.lines / traffic.loads,
        max(terms) + (1 - _OVERLAP * occupancy) * (sum(terms) - max(terms)),
    )


def _held(needed: int, core: GpuCore) -> int:
    """Work-items with so many registers that a core holds."""
    return min(core.items, core.registers // (ceil(needed / core.step) * core.step)) // core.warp * core.warp


def _operations(job: Job, cut: LaunchConfig, core: GpuCore) -> float:
    """Operations of a work-item."""
    kh, kw = job.conv.kernel
    sums, window = cut.pixels * cut.channels, cut.pixels + job.window
    rows = job.passes * job.inputs * kh
    total = rows * kw * sums * (core.dot if job.packing > 1 else 1) + sums * _EPILOGUE
    total += rows * (len(pieces(window, cut.vector)) + kw * len(pieces(cut.channels, cut.vector)))
    total += rows * (1 if cut.unroll else 4)  # addresses and the loop itself
    if job.picture is not None:
        total += rows * window * (_CLAMPED + job.picture)
    return total


class _Traffic:
    """Loads and stores of a warp, and what they move.

    Attributes:
        loads: instructions that load or store.
        lines: cache lines that they touch.
    """

    def __init__(self, job: Job, cut: LaunchConfig, core: GpuCore) -> None:
        self.job, self.cut, self.core = job, cut, core
        conv, (x, y, _) = job.conv, cut.group
        self.across = min(x, core.warp)
        self.down = min(y, core.warp // self.across) or 1
        self.deep = max(1, core.warp // (self.across * self.down))
        self.loads, self.lines = 0, 0.0
        rows = job.passes * job.inputs * conv.kernel[0]
        sources = self._sources(self.deep)
        if job.picture is None:
            self._along(cut.pixels + job.window, rows, sources)
        else:
            self._bytes((cut.pixels + job.window) * job.picture, cut.pixels * job.picture, rows, sources)
        self._same(rows * conv.kernel[1] + 2)  # weights, bias and multipliers
        for other, anchor in job.others:
            if anchor is not None:
                self._bytes(cut.pixels * anchor, cut.pixels * anchor, 1, 1)
            elif not other.single:
                self._along(cut.pixels, -(-cut.channels // job.packing), self.deep)
        if conv.pixels is None:
            self._along(cut.pixels, cut.channels // job.packing, self.deep)
        else:
            self._bytes(cut.pixels * cut.channels, cut.pixels * conv.pixels.scale * conv.pixels.channels, 1, self.deep)

    def _sources(self, deep: int) -> int:
        """How many parts of the source ``deep`` work-items along z read: one for each of the convolution's groups."""
        groups = 1 if self.job.dense else self.job.conv.groups
        return min(groups, ceil(deep * self.cut.channels * groups / len(self.job.order)))

    def _along(self, count: int, times: int, deep: int) -> None:
        """Vector loads or stores of ``count`` elements of a row, from every work-item's own first pixel on; of the
        warp's work-items along z, ``deep`` differ.
        """
        stride = self.cut.pixels * self.job.element
        for width in pieces(count, self.cut.vector):
            self._touch((self.across - 1) * stride + width * self.job.element, times, deep)

    def _bytes(self, count: int, stride: int, times: int, deep: int) -> None:
        """Single bytes of a picture, ``count`` of each work-item."""
        self._touch((self.across - 1) * stride + 1, times * count, deep)

    def _same(self, times: int) -> None:
        """Constants: the same for all work-items that compute the same channels."""
        for _ in pieces(self.cut.channels, self.cut.vector):
            self.loads += times
            self.lines += times * self.deep

    def _touch(self, span: int, times: int, deep: int) -> None:
        """Count loads that reach over ``span`` bytes of each of the warp's rows, and begin anywhere in a line."""
        self.loads += times
        self.lines += times * self.down * deep * (1 + (span - 1) / self.core.line)

    def read(self, height: int, width: int, groups: list[int]) -> int:
        """Return bytes read for a picture: each work-group reads its parts of the source and its weights once, if its
        core's cache holds them, else the source once for every work-item along z.
        """
        job, cut, conv = self.job, self.cut, self.job.conv
        x, y, z = cut.group
        rows = min(y, height) + (conv.kernel[0] - 1) * conv.dilation[0]
        columns = min(x * cut.pixels, width) + job.window
        source = rows * columns * (job.passes * job.inputs * job.element if job.picture is None else job.picture)
        weights = z * cut.channels * (job.inputs * conv.kernel[0] * conv.kernel[1] + 2) * 4
        sources = self._sources(z)
        rereads = sources if sources * source + weights <= self.core.cache else z
        packed, pixels = job.element * cut.channels * z // job.packing, min(x * cut.pixels, width) * y
        others = sum((anchor or packed) * pixels for other, anchor in job.others if not other.single)
        total: int = prod(groups) * (source * rereads + weights + others)
        return total

    def written(self, height: int, width: int) -> int:
        """Return bytes written for a picture."""
        job = self.job
        each = 1 if job.conv.pixels is not None else job.element * job.conv.target.bytes
        return height * width * len(job.order) * each // (1 if job.conv.pixels is not None else job.packing)
