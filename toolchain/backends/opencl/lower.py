"""From a lowered network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from toolchain.backends.opencl import (
    average,
    channel_pool,
    down,
    elementwise,
    enlarge,
    float_conv,
    float_elementwise,
    float_enlarge,
    float_normalization,
    float_pool,
    float_resample,
    integer_conv,
    lookup,
    move,
    normalization,
    resample,
)
from toolchain.backends.opencl.choose import Choose
from toolchain.backends.opencl.job import Job
from toolchain.backends.opencl.launches import LaunchWriter, OpenClProgram, Work
from toolchain.backends.opencl.pixelwise import SLOPES, PixelwiseConfig
from toolchain.bundle.launch_plan import Extent
from toolchain.bundle.launches import Figures
from toolchain.frontend.fixed_point import phases
from toolchain.kernels.average import Average
from toolchain.kernels.float_spec import (
    FloatConv,
    FloatDraw,
    FloatEnlarge,
    FloatGlobalPool,
    FloatNormalization,
    FloatPack,
    FloatSample,
    FloatShuffle,
    FloatSum,
)
from toolchain.kernels.spec import (
    ChannelPool,
    Conv,
    Draw,
    Elementwise,
    GlobalPool,
    Interpolate,
    Lookup,
    Move,
    Normalization,
    Pack,
    Pool,
    Shuffle,
    SpaceToDepth,
    View,
)
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered
from toolchain.targets.gpu import Gpu

Words: TypeAlias = (
    Elementwise
    | Lookup
    | ChannelPool
    | Normalization
    | Pack
    | Draw
    | Shuffle
    | Interpolate
    | Move
    | Average
    | SpaceToDepth
    | Pool
    | FloatSum
    | FloatPack
    | FloatDraw
    | FloatShuffle
    | FloatEnlarge
    | FloatSample
    | FloatNormalization
)
"""What is no convolution."""

_ARRAYS: Mapping[type, str] = {
    Lookup: lookup.TABLE,
    Average: average.FACTORS,
    Normalization: normalization.FACTORS,
    FloatNormalization: normalization.FACTORS,
}
"""What constants are called, where they are no slopes."""


def program(
    lowered: Lowered[Any], channels: int, gpu: Gpu, choose: Choose, size: int, dtype: str = "uint32"
) -> OpenClProgram:
    """Return the network as OpenCL kernels: one launch a convolution, and one a sum that is not part of one.

    Args:
        lowered: with integer weights in the plain order of `toolchain.kernels.intrinsics.portable`, or float32 ones.
        channels: of the picture that comes in.
        gpu: the device.
        choose: the cuts of its convolutions.
        size: pixels of the picture that they were chosen for.
        dtype: of the tensors between kernels: "uint32", words of codes; for a float network "float32" or "float16".

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    writer = LaunchWriter(lowered, channels, dtype)
    for call in writer.network.launches:
        operation = call.operation
        if isinstance(operation, Conv | FloatConv):
            template = integer_conv if isinstance(operation, Conv) else float_conv
            job = writer.job(call, operation)
            choice = choose(job)
            function = template.build(job, writer.geometry, choice.cut)
            writer.conv(call, job, choice, function, template.arrange(job, choice.cut, *call.constants), size)
        elif isinstance(operation, GlobalPool | FloatGlobalPool):
            writer.pool(call, operation, gpu.work_group)
            bytes_of = operation.source.count * operation.source.bytes * np.dtype(dtype).itemsize
            writer.figures.append(Figures(call.call.kernel, "sums of parts, then of all", 0, size * bytes_of, 0))
        elif call.call.step.writes not in writer.direct:
            _words(writer, call, operation, gpu, int(size * call.scale**2))
    return writer.program()


def jobs(lowered: Lowered[Conv], channels: int) -> list[Job]:
    """Return the convolutions of a network, as `program` launches them, but for those on a single pixel.

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    writer = LaunchWriter(lowered, channels, "uint32")
    launches = writer.network.launches
    return [writer.job(call, call.operation) for call in launches if isinstance(call.operation, Conv) and call.scale]


def _words(writer: LaunchWriter, call: Call, given: Words, gpu: Gpu, size: int) -> None:
    """Launch ``given``; ``size``: pixels of what it reads."""
    function, (read, written) = _function(given, writer, gpu), _traffic(given, writer)
    name, arrays = _ARRAYS.get(type(given), SLOPES), call.constants
    if isinstance(given, FloatSum | FloatNormalization) and arrays:
        arrays = (np.stack(arrays),)
    work, pixels = _work(given, gpu.pixels)
    writer.launch(call, function, dict(zip([name], arrays, strict=False)), work, gpu.work_group)
    shape = f"{pixels} pixels, groups {'x'.join(map(str, gpu.work_group))}"
    writer.figures.append(Figures(call.call.kernel, shape, 0, size * read, size * written))


def _work(given: Words, pixels: int) -> tuple[Work, int]:
    """Return the work-items of a kernel of so many pixels each, if it can be; and how many each has."""
    if isinstance(given, Move):
        around = 2 * given.border
        return (Extent("columns", pixels, 1, around), Extent("rows", 1, 1, around), Extent("one")), pixels
    if isinstance(given, Average | FloatSample) or (isinstance(given, Interpolate) and not phases(given.resizing)):
        return (Extent("columns"), Extent("rows"), Extent("one")), 1
    return (Extent("width", pixels), Extent("height"), Extent("one")), pixels


def _function(given: Words, writer: LaunchWriter, gpu: Gpu) -> Any:
    """Return the kernel of ``given``."""
    config = PixelwiseConfig(writer.geometry, gpu.pixels, gpu.work_group)
    match given:
        case Elementwise():
            return elementwise.combine(given, config)
        case Lookup():
            return lookup.lookup(given, config)
        case ChannelPool():
            return channel_pool.pool(given, config)
        case Normalization():
            return normalization.normalize(given, config)
        case FloatSum():
            return float_elementwise.add(given, writer.dtype, config)
        case Pack():
            return elementwise.pack(given, config)
        case FloatPack():
            return float_elementwise.pack(given, writer.dtype, config)
        case Draw():
            return elementwise.draw(given, config)
        case FloatDraw():
            return float_elementwise.draw(given, writer.dtype, config)
        case Shuffle():
            return elementwise.shuffle(given, config)
        case Interpolate():
            write = enlarge.enlarge if phases(given.resizing) else resample.resample
            return write(given, config)
        case Move():
            return move.move(given, writer.dtype, config)
        case FloatSample():
            return float_resample.resample(given, writer.dtype, config)
        case FloatNormalization():
            return float_normalization.normalize(given, writer.dtype, config)
        case Average():
            return average.average(given, config)
        case SpaceToDepth():
            return down.space_to_depth(given, writer.dtype, config)
        case Pool() if writer.dtype == "uint32":
            return down.pool(given, config)
        case Pool():
            return float_pool.pool(given, writer.dtype, config)
        case FloatEnlarge():
            return float_enlarge.enlarge(given, writer.dtype, config)
        case FloatShuffle():
            return float_elementwise.shuffle(given, writer.dtype, config)


def _traffic(given: Words, writer: LaunchWriter) -> tuple[int, int]:
    """Bytes read and written for a pixel of what is read."""
    element = np.dtype(writer.dtype).itemsize

    def bytes_of(view: View) -> int:
        return element * view.bytes * view.count

    match given:
        case Elementwise(operands=operands, target=target):
            return sum(bytes_of(operand.view) for operand in operands), bytes_of(target)
        case FloatSum(operands=operands, target=target):
            read = [operand for operand in (*operands, *given.others) if not operand.single]
            return sum(bytes_of(operand.view) for operand in read), bytes_of(target)
        case FloatEnlarge(source=source, phases=given_phases, target=target):
            return bytes_of(source), bytes_of(target) * len(given_phases) ** 2
        case Lookup(source=operand, target=target):
            return bytes_of(operand.view), bytes_of(target)
        case Pack(target=target) | FloatPack(target=target):
            return writer.channels, bytes_of(target)
        case Draw(source=source, pixels=pixels) | FloatDraw(source=source, pixels=pixels):
            return bytes_of(source), len(pixels.table)
        case Move() | Average() | ChannelPool() | FloatSample():
            source, target = given.source, given.target
            return bytes_of(source), bytes_of(target)
        case Normalization(source=source, target=target) | FloatNormalization(source=source, target=target):
            return 3 * bytes_of(source), bytes_of(target)
        case SpaceToDepth(source, _, target) | Pool(source=source, target=target):
            return bytes_of(target) if isinstance(given, SpaceToDepth) else bytes_of(source), bytes_of(target)
        case Shuffle(source, pixels, target) | FloatShuffle(source, pixels, target):
            return bytes_of(source), bytes_of(target) * pixels.scale**2
        case Interpolate(source=source, target=target, requantize=requantize):
            area, residual = (given.resizing.whole or 1) ** 2, requantize.residual
            added = 0 if residual is None else bytes_of(residual.view) * area
            return bytes_of(source) + added, bytes_of(target) * area
