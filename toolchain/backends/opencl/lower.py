"""From a lowered integer network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from toolchain.backends.opencl import conv as template
from toolchain.backends.opencl import words
from toolchain.backends.opencl.choose import Choose
from toolchain.backends.opencl.job import Job
from toolchain.backends.opencl.launches import Program, Writer, network_of, pictures
from toolchain.bundle.launches import Figures
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Conv, Draw, Elementwise, Pack, Shuffle
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered
from toolchain.targets.gpu import Gpu


def program(lowered: Lowered[Conv], channels: int, gpu: Gpu, choose: Choose, size: int) -> Program:
    """The network as OpenCL kernels: one launch a convolution, and one a sum that is not part of one.

    Args:
        lowered: with the weights in the plain order of `toolchain.kernels.intrinsics.portable`.
        channels: of the picture that comes in.
        gpu: the device.
        choose: the cuts of its convolutions.
        size: pixels of the picture that they were chosen for.

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    network = network_of(lowered)
    writer = Writer(network, lowered.geometry, channels, pictures(network, Pack, 1, Conv), "uint32")
    for call in network.launches:
        if isinstance(call.operation, Conv):
            job = writer.job(call, call.operation)
            choice = choose(job)
            writer.conv(
                call,
                job,
                choice,
                template.build(job, writer.geometry, choice.cut),
                template.arrange(job, choice.cut, *call.constants),
                size,
            )
        elif call.call.step.writes not in writer.direct:
            _words(writer, call, gpu, size)
    return writer.program()


def jobs(lowered: Lowered[Conv], channels: int) -> list[Job]:
    """The convolutions of a network, as `program` launches them.

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    network = network_of(lowered)
    writer = Writer(network, lowered.geometry, channels, pictures(network, Pack, 1, Conv), "uint32")
    return [writer.job(call, call.operation) for call in network.launches if isinstance(call.operation, Conv)]


def _words(writer: Writer, call: Call, gpu: Gpu, size: int) -> None:
    size *= call.scale**2
    operation, cut = call.operation, (writer.geometry, gpu.pixels, gpu.work_group)
    match operation:
        case Elementwise():
            function = words.add(operation, *cut)
            read = PACK * sum(operand.view.bytes * operand.view.count for operand in operation.operands)
            written = PACK * operation.target.bytes * operation.target.count
        case Pack():
            function = words.pack(operation, *cut)
            read, written = operation.channels, PACK
        case Draw():
            function = words.draw(operation, *cut)
            read, written = PACK * operation.source.count, operation.pixels.scale**2 * operation.pixels.channels
        case Shuffle(source, pixels, target):
            function = words.shuffle(operation, *cut)
            read, written = (PACK * view.bytes * view.count for view in (source, target))
            written *= pixels.scale**2
    writer.launch(call, function, dict(zip(["slopes"], call.constants, strict=False)), gpu.pixels, 1, gpu.work_group)
    shape = f"{gpu.pixels} pixels, groups {'x'.join(map(str, gpu.work_group))}"
    writer.figures.append(Figures(call.call.kernel, shape, 0, size * read, size * written))
