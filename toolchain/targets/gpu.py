"""OpenCL devices as target files describe them: what they can do, and the figures that kernels are cut by."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal, TypeAlias

from toolchain.support.serialization import Between

Positive: TypeAlias = Annotated[int, Between(1, 2**31 - 1)]


@dataclass(frozen=True)
class GpuCore:
    """A core of the device, as far as `toolchain.backends.opencl.estimate` reckons with it; record 16 has the sources.

    Attributes:
        warp: work-items that run in step.
        items: work-items it holds at a time, at most.
        registers: of 32 bits, for all of them.
        step: a work-item's registers are rounded up to a multiple of it.
        most_registers: of a work-item; more are kept in memory, so that no kernel may need more.
        operations: of 32 bits a cycle.
        dot: operations that four products of bytes and their sum cost: 1 where there is an instruction.
        cache: bytes of its first-level cache.
        line: bytes of a cache line; it reads one a cycle.
        bandwidth: bytes a cycle from beyond that cache, its share of what all cores have.
    """

    warp: Positive
    items: Positive
    registers: Positive
    step: Positive
    most_registers: Positive
    operations: Positive
    dot: Positive
    cache: Positive
    line: Positive
    bandwidth: Annotated[float, Between(2**-20, 2**31 - 1)]


@dataclass(frozen=True)
class Gpu:
    """An OpenCL device.

    Attributes:
        name: a word of what it calls itself; empty: a processor.
        pixels: neighbouring pixels that a work-item of a kernel without sums computes: 1, 2, 4 or 8.
        work_group: work-items of such a kernel's work-group along x, y and z.
        largest_group: work-items that the device runs together at most.
        integer_dot: use the dot product of cl_khr_integer_dot_product where the driver has it.
        core: a core.
    """

    name: str
    pixels: Literal[1, 2, 4, 8]
    work_group: tuple[Positive, Positive, Positive]
    largest_group: Positive
    integer_dot: bool
    core: GpuCore

    def __post_init__(self) -> None:
        """Raise ValueError where the figures cannot be true."""
        if prod(self.work_group) > self.largest_group:
            raise ValueError(f"a work-group of {prod(self.work_group)} work-items is more than {self.largest_group}")
