"""From a lowered float network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from toolchain.backends.opencl import float_conv as template
from toolchain.backends.opencl import float_words as words
from toolchain.backends.opencl.choose import Choose
from toolchain.backends.opencl.launches import Program, Writer, network_of, pictures
from toolchain.bundle.launches import Figures
from toolchain.kernels.float_spec import FloatConv, FloatDraw, FloatPack, FloatSum
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered
from toolchain.targets.gpu import Gpu


def float_program(
    lowered: Lowered[FloatConv], channels: int, gpu: Gpu, choose: Choose, size: int, dtype: str
) -> Program:
    """The network as OpenCL kernels: one launch a convolution, and one a sum that is not part of one.

    Args:
        lowered: with float32 constants.
        channels: of the picture that comes in.
        gpu: the device.
        choose: the cuts of its convolutions.
        size: pixels of the picture that they were chosen for.
        dtype: of the tensors between kernels, "float32" or "float16".

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    network = network_of(lowered)
    writer = Writer(network, lowered.geometry, channels, pictures(network, FloatPack, channels, FloatConv), dtype)
    for call in network.launches:
        if isinstance(call.operation, FloatConv):
            job = writer.job(call, call.operation)
            choice = choose(job)
            writer.conv(
                call,
                job,
                choice,
                template.build(job, lowered.geometry, choice.cut),
                template.arrange(job, choice.cut, *call.constants),
                size,
            )
        elif call.call.step.writes not in writer.direct:
            _words(writer, call, gpu, size)
    return writer.program()


def _words(writer: Writer, call: Call, gpu: Gpu, size: int) -> None:
    operation, cut = call.operation, (writer.geometry, writer.dtype, gpu.pixels, gpu.work_group)
    each = 2 if writer.dtype == "float16" else 4
    match operation:
        case FloatSum():
            function = words.add(operation, *cut)
            read = each * sum(operand.view.count for operand in operation.operands)
            written = each * operation.target.count
        case FloatPack():
            function = words.pack(operation, *cut)
            read, written = operation.target.count, each * operation.target.count
        case FloatDraw():
            function = words.draw(operation, *cut)
            read, written = each * operation.source.count, len(operation.pixels.table)
    writer.launch(call, function, dict(zip(["slopes"], call.constants, strict=False)), gpu.pixels, 1, gpu.work_group)
    shape = f"{gpu.pixels} pixels, groups {'x'.join(map(str, gpu.work_group))}"
    writer.figures.append(Figures(call.call.kernel, shape, 0, size * read, size * written))
