"""From a lowered network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.errors import ModelError
from toolchain.kernels.driver import Picture
from toolchain.kernels.spec import Conv
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered, Network
from toolchain.opencl import conv as template
from toolchain.opencl.plan import PICTURE, RESULT, Buffer, Extent, Launch, Plan, lay_out
from toolchain.opencl.source import Source, generate


@dataclass(frozen=True)
class Shape:
    """How work is cut: pixels and accumulators of a work-item, work-items of a work-group along x, y, z."""

    pixels: int
    sums: int
    group: tuple[int, int, int]


@dataclass(frozen=True)
class Program:
    """A network for OpenCL: its plan, its kernels and the bytes of its constants."""

    plan: Plan
    kernels: tuple[Source, ...]
    constants: bytes


def program(lowered: Lowered[Conv], channels: int, shape: Shape) -> Program:
    """The network as OpenCL kernels: one launch a convolution.

    Args:
        lowered: with the weights in the plain order of `toolchain.kernels.intrinsics.portable`.
        channels: of the picture that comes in.
        shape: how work is cut.

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    network = lowered.network
    if network is None:
        raise ModelError(
            "a part of this network has no OpenCL kernel"
            + (f": {', '.join(lowered.coverage.float_operators)}" if lowered.coverage.float_operators else ""),
            hint="deploy it for a CPU")
    specs = {kernel.name: kernel.conv for kernel in lowered.kernels}
    return _Writer(lowered, network, specs, channels, shape).program()


class _Writer:
    """Turns calls of the CPU's kernels into launches, one at a time."""

    def __init__(self, lowered: Lowered[Conv], network: Network, specs: dict[str, Conv], channels: int,
                 shape: Shape) -> None:
        self.lowered, self.network, self.specs, self.channels, self.shape = lowered, network, specs, channels, shape
        self.direct = self._pictures()
        self.names, self.buffers = self._buffers()
        self.arrays: dict[str, Any] = {}
        self.kernels: list[Source] = []
        self.launches: list[Launch] = []

    def program(self) -> Program:
        for call in self.network.launches:
            if call.call.step.writes in self.direct and call.call.kernel.startswith("pack_pixels"):
                continue
            if call.call.kernel not in self.specs:
                raise ModelError(f"this network needs the kernel {call.call.kernel}, which there is not for OpenCL",
                                 hint="deploy it for a CPU")
            self._conv(call, self.specs[call.call.kernel])
        constants, data = lay_out(self.arrays)
        result = self.network.launches[-1].result
        assert isinstance(result, Picture)
        geometry = self.lowered.geometry
        plan = Plan(self.channels, result.scale, geometry.margin, geometry.columns, self.buffers, constants,
                    tuple(self.launches))
        return Program(plan, tuple(self.kernels), data)

    def _pictures(self) -> set[int]:
        """Tensors that are the packed picture and nothing else: kernels read the picture itself."""
        found = set()
        for call in self.network.launches:
            writes = call.call.step.writes
            if call.call.kernel.startswith("pack_pixels") and writes is not None:
                readers = [other.call.kernel for other in self.network.launches
                           if writes in [read.buffer for read in other.call.step.reads]]
                if self.network.tensors[writes].blocks == 1 and all(name in self.specs for name in readers):
                    found.add(writes)
        return found

    def _buffers(self) -> tuple[dict[int, str], tuple[Buffer, ...]]:
        """A buffer for every tensor. Tensors of the same form share one where the first is read for the last time
        before the next is written: what surrounds the picture stays as it was filled.
        """
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for time, call in enumerate(self.network.launches):
            step = call.call.step
            for tensor in (step.writes, *(read.buffer for read in step.reads)):
                if tensor is not None and tensor not in self.direct:
                    first.setdefault(tensor, time)
                    last[tensor] = time
        names: dict[int, str] = {}
        buffers: list[Buffer] = []
        free_from: dict[str, int] = {}
        for tensor in sorted(first, key=lambda t: first[t]):
            form = self.network.tensors[tensor]
            free = [b for b in buffers if (b.blocks, b.zero_point) == (form.blocks, form.zero_point)
                    and free_from[b.name] < first[tensor]]
            buffer = free[0] if free else Buffer(f"tensor{len(buffers)}", form.blocks, form.zero_point)
            if not free:
                buffers.append(buffer)
            names[tensor] = buffer.name
            free_from[buffer.name] = last[tensor]
        return names, tuple(buffers)

    def _conv(self, call: Call, conv: Conv) -> None:
        name, reads = call.call.kernel, call.call.step.reads
        item = template.item_for(conv, self.shape.pixels, self.shape.sums)
        weights, bias, multiplier, *slopes = call.constants
        arrays = template.arrange(conv, item, weights, bias, multiplier, slopes[0] if slopes else None)
        direct = [self.channels if read.buffer in self.direct else None for read in reads]
        function = template.build(conv, self.lowered.geometry, item, self.shape.group, picture=direct[0],
                                  anchor=direct[1] if len(direct) > 1 else None)
        source = generate(name, function)
        meaning = {key: f"{name}.{key}" for key in arrays}
        for operand, read in zip("xr", reads, strict=False):
            meaning[operand] = PICTURE if read.buffer in self.direct else self.names[int(read.buffer or 0)]
        writes = call.call.step.writes
        meaning["y"] = RESULT if writes is None else self.names[writes]
        self.arrays |= {f"{name}.{key}": np.ascontiguousarray(array) for key, array in arrays.items()}
        self.kernels.append(source)
        work = (Extent("width", item.pixels), Extent("height"), Extent("one", 1, item.depth))
        self.launches.append(Launch(name, tuple(meaning.get(argument, argument) for argument in source.arguments),
                                    work, self.shape.group))
