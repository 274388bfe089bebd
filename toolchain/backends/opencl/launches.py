"""Launches, buffers and constants, one kernel after the other: what integer and float networks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from toolchain.backends.opencl import float_pool, global_pool
from toolchain.backends.opencl.choose import Choice
from toolchain.backends.opencl.job import Job
from toolchain.backends.opencl.pixelwise import Group
from toolchain.backends.opencl.primitives import OPERANDS
from toolchain.backends.opencl.sizes import size_of
from toolchain.backends.opencl.source import KernelSource, generate
from toolchain.bundle.launch_plan import (
    PICTURE,
    RESULT,
    SINGLE,
    Buffer,
    Extent,
    Launch,
    LaunchPlan,
    Size,
    lay_out,
)
from toolchain.bundle.launches import Figures
from toolchain.kernels.float_spec import FloatConv, FloatGlobalPool, FloatPack
from toolchain.kernels.network import Picture
from toolchain.kernels.spec import Conv, GlobalPool, Move, Pack
from toolchain.lower.calls import Extent as CallExtent
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered, Network
from toolchain.support.errors import ModelError
from toolchain.support.wording import name_some

Work: TypeAlias = tuple[Extent, Extent, Extent]
"""Work-items along x, y and z."""


@dataclass(frozen=True)
class OpenClProgram:
    """A network for OpenCL: its plan, its kernels, the bytes of its constants, and what is expected of the launches."""

    plan: LaunchPlan
    kernels: tuple[KernelSource, ...]
    constants: bytes
    figures: tuple[Figures, ...]
    choices: Mapping[str, Choice]


def network_of(lowered: Lowered[Any]) -> Network:
    """Return the kernels of a network that is nothing else.

    Raises:
        ModelError: it is more than that, or has sizes that no plan can say.
    """
    if lowered.network is None:
        operators = lowered.origins or lowered.coverage.float_operators
        raise ModelError(
            f"there is no OpenCL kernel for operator{'s' * (len(operators) > 1)} {name_some(operators)}",
            hint="deploy it for a CPU: OpenCL runs convolutions, functions of one tensor's numbers (ReLU, Sigmoid, GELU"
            " and the like), Add, Mul, Min, Max, Concat, Pad, Slice, Resize, LayerNormalization over channels, MaxPool,"
            " global pooling and shuffles",
        )
    for extent in lowered.network.extents:
        size_of(extent, lowered.network.sides)
    return lowered.network


def _pictures(network: Network) -> set[int]:
    """Tensors that are the packed picture alone, and are read by nothing but convolutions."""
    found = set()
    for call in network.launches:
        writes = call.call.step.writes
        alone = isinstance(given := call.operation, Pack | FloatPack) and given.target.count == given.target.total
        if alone and writes is not None:
            readers = [other for other in network.launches if writes in [r.buffer for r in other.call.step.reads]]
            if all(isinstance(reader.operation, Conv | FloatConv) for reader in readers):
                found.add(writes)
    return found


class LaunchWriter:
    """Turns calls of the CPU's kernels into launches of OpenCL kernels.

    Args:
        lowered: the network.
        channels: of the picture that comes in.
        dtype: of packed tensors.

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """

    def __init__(self, lowered: Lowered[Any], channels: int, dtype: str) -> None:
        self.network, self.geometry = network_of(lowered), lowered.geometry
        self.channels, self.dtype = channels, dtype
        self.direct = _pictures(self.network)
        """Tensors in whose place kernels read the picture itself."""
        self.names, self.buffers = self._buffers()
        self.arrays: dict[str, Any] = {}
        self.kernels: list[KernelSource] = []
        self.launches: list[Launch] = []
        self.figures: list[Figures] = []
        self.choices: dict[str, Choice] = {}

    def job(self, call: Call, conv: Conv | FloatConv) -> Job:
        """Return the kernel of a convolution, with the pictures that it reads itself."""
        picture, *anchors = [
            self.channels if read.buffer is None or read.buffer in self.direct else None
            for read in call.call.step.reads
        ]
        return Job(conv, picture, tuple(anchors), self.dtype, call.scale)

    def conv(self, call: Call, job: Job, choice: Choice, function: Any, arrays: Mapping[str, Any], size: int) -> None:
        """Launch a convolution; ``size`` is the pixels of the picture that it was chosen for."""
        name, cut = call.call.kernel, choice.cut
        self.choices[name] = choice
        expected = choice.expected
        self.figures.append(
            Figures(
                name,
                str(cut),
                int(size * job.scale**2 * job.macs),
                expected.read,
                expected.written,
                expected.registers,
                round(expected.occupancy, 3),
                expected.groups,
                round(expected.lines, 2),
            )
        )
        work = (Extent("width", cut.pixels), Extent("height"), Extent("one", 1, len(job.order) // cut.channels))
        self.launch(call, function, arrays, work, cut.group)

    def launch(self, call: Call, function: Any, arrays: Mapping[str, Any], work: Work, group: Group) -> None:
        """Generate a kernel with `OPERANDS`, y and ``arrays`` as arguments, and launch it."""
        name, step = call.call.kernel, call.call.step
        meaning = {key: f"{name}.{key}" for key in arrays}
        for operand, read in zip(OPERANDS, step.reads, strict=False):
            packed = None if read.buffer is None else self.names.get(read.buffer)
            meaning[operand] = packed or PICTURE
        meaning["y"] = RESULT if step.writes is None else self.names[step.writes]
        self.arrays |= {f"{name}.{key}": np.ascontiguousarray(array) for key, array in arrays.items()}
        self.append(name, function, meaning, work, group, call)

    def pool(self, call: Call, operation: GlobalPool | FloatGlobalPool, group: Group) -> None:
        """Launch the two kernels that pool a picture."""
        name, step, one = call.call.kernel, call.call.step, (1, 1, 1)
        parts, source = f"{name}_parts", step.reads[0].buffer
        assert source is not None
        assert step.writes is not None
        if isinstance(operation, GlobalPool):
            dtype, blocks = "uint32", global_pool.parts_blocks(operation)
            function = global_pool.partial(operation, self.geometry, group)
            last = global_pool.finish(operation, self.geometry, one)
        else:
            dtype, blocks = "float32", float_pool.parts_blocks(operation)
            function = float_pool.partial(operation, self.dtype, self.geometry, group)
            last = float_pool.finish(operation, self.dtype, self.geometry, one)
        self.buffers = (*self.buffers, Buffer(parts, dtype, blocks, 0, SINGLE))
        across, down, deep = global_pool.COLUMNS, global_pool.ROWS, operation.source.count
        work = (Extent("one", 1, across), Extent("one", 1, down), Extent("one", 1, deep))
        self.append(f"{name}_partial", function, {"x": self.names[source], "y": parts}, work, group, call)
        work = (Extent("one"), Extent("one"), Extent("one", 1, operation.target.count))
        self.append(name, last, {"x": parts, "y": self.names[step.writes]}, work, one, call)

    def append(
        self,
        name: str,
        function: Any,
        meaning: Mapping[str, str],
        work: Work,
        group: Group,
        call: Call,
    ) -> None:
        """Generate a kernel and launch it; ``meaning``: of its arguments."""
        source = generate(name, function)
        self.kernels.append(source)
        arguments = tuple(meaning.get(argument, argument) for argument in source.arguments)
        size, made = map(self._size, call.extents)
        self.launches.append(Launch(name, arguments, work, group, size, made))

    def program(self) -> OpenClProgram:
        """Return all that was launched."""
        constants, data = lay_out(self.arrays)
        result = self.network.launches[-1].result
        assert isinstance(result, Picture)
        scale = Fraction(self.network.launches[-1].scale * result.scale)
        plan = LaunchPlan(
            self.channels,
            scale.numerator,
            self.geometry.margin,
            self.geometry.columns,
            self.buffers,
            constants,
            tuple(self.launches),
            self.network.unit,
            scale.denominator,
        )
        return OpenClProgram(plan, tuple(self.kernels), data, tuple(self.figures), self.choices)

    def _size(self, extent: CallExtent) -> Size:
        return size_of(extent, self.network.sides)

    def _buffers(self) -> tuple[dict[int, str], tuple[Buffer, ...]]:
        """Return a buffer for every tensor. Tensors of the same form share one where the first is read for the last
        time before the next is written: what surrounds the picture stays as it was filled. Where a border is written
        around it, it is not shared.
        """
        moves = [(call, call.operation) for call in self.network.launches if isinstance(call.operation, Move)]
        bordered = {call.call.step.writes for call, move in moves if move.border}
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
            form, size = self.network.tensors[tensor], self._size(self.network.extents[tensor])
            filled, low = divmod(form.zero_point, 256) if form.wide else (form.zero_point, None)
            low = None if low == filled else low
            free = [
                b
                for b in buffers
                if (b.blocks, b.zero_point, b.low, b.size) == (form.blocks, filled, low, size)
                and free_from[b.name] < first[tensor]
                and tensor not in bordered
            ]
            buffer = free[0] if free else Buffer(f"tensor{len(buffers)}", self.dtype, form.blocks, filled, size, low)
            if not free:
                buffers.append(buffer)
            names[tensor] = buffer.name
            free_from[buffer.name] = len(self.network.launches) if tensor in bordered else last[tensor]
        return names, tuple(buffers)
