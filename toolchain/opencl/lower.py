"""From a lowered network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.errors import ModelError
from toolchain.kernels.driver import Picture
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import Conv, Draw, Elementwise, Pack
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered, Network
from toolchain.opencl import conv as template
from toolchain.opencl import words
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
    """The network as OpenCL kernels: one launch a convolution, and one a sum that is not part of one.

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
    return _Writer(network, lowered.geometry, channels, shape).program()


class _Writer:
    """Turns calls of the CPU's kernels into launches, one at a time."""

    def __init__(self, network: Network, geometry: Geometry, channels: int, shape: Shape) -> None:
        self.network, self.geometry, self.channels, self.shape = network, geometry, channels, shape
        self.direct = self._pictures()
        self.names, self.buffers = self._buffers()
        self.arrays: dict[str, Any] = {}
        self.kernels: list[Source] = []
        self.launches: list[Launch] = []

    def program(self) -> Program:
        for call in self.network.launches:
            operation = call.operation
            if isinstance(operation, Conv):
                self._conv(call, operation)
            elif call.call.step.writes not in self.direct:
                self._words(call)
        constants, data = lay_out(self.arrays)
        result = self.network.launches[-1].result
        assert isinstance(result, Picture)
        plan = Plan(self.channels, result.scale, self.geometry.margin, self.geometry.columns, self.buffers, constants,
                    tuple(self.launches))
        return Program(plan, tuple(self.kernels), data)

    def _pictures(self) -> set[int]:
        """Tensors that are the packed picture and nothing else: kernels read the picture itself."""
        found = set()
        for call in self.network.launches:
            writes = call.call.step.writes
            if isinstance(call.operation, Pack) and call.operation.target.total == 1 and writes is not None:
                readers = [other for other in self.network.launches
                           if writes in [read.buffer for read in other.call.step.reads]]
                if all(isinstance(reader.operation, Conv) for reader in readers):
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
        item = template.item_for(conv, self.shape.pixels, self.shape.sums)
        weights, bias, multiplier, *slopes = call.constants
        arrays = template.arrange(conv, item, weights, bias, multiplier, slopes[0] if slopes else None)
        direct = [self.channels if read.buffer in self.direct else None for read in call.call.step.reads]
        function = template.build(conv, self.geometry, item, self.shape.group, picture=direct[0],
                                  anchor=direct[1] if len(direct) > 1 else None)
        self._launch(call, function, arrays, item.pixels, item.depth)

    def _words(self, call: Call) -> None:
        operation, cut = call.operation, (self.geometry, self.shape.pixels, self.shape.group)
        match operation:
            case Elementwise():
                function = words.add(operation, *cut)
            case Pack():
                function = words.pack(operation, *cut)
            case Draw():
                function = words.draw(operation, *cut)
        self._launch(call, function, dict(zip(["slopes"], call.constants, strict=False)), self.shape.pixels, 1)

    def _launch(self, call: Call, function: Any, arrays: Mapping[str, Any], pixels: int, depth: int) -> None:
        """Generate a kernel with arguments x, r, y and ``arrays``, and launch it."""
        name, step = call.call.kernel, call.call.step
        source = generate(name, function)
        meaning = {key: f"{name}.{key}" for key in arrays}
        for operand, read in zip("xr", step.reads, strict=False):
            packed = None if read.buffer is None else self.names.get(read.buffer)
            meaning[operand] = packed or PICTURE
        meaning["y"] = RESULT if step.writes is None else self.names[step.writes]
        self.arrays |= {f"{name}.{key}": np.ascontiguousarray(array) for key, array in arrays.items()}
        self.kernels.append(source)
        work = (Extent("width", pixels), Extent("height"), Extent("one", 1, depth))
        self.launches.append(Launch(name, tuple(meaning.get(argument, argument) for argument in source.arguments),
                                    work, self.shape.group))
