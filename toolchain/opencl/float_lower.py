"""From a lowered float network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from toolchain.errors import ModelError
from toolchain.kernels.float_spec import FloatConv
from toolchain.lower.lowered import Lowered
from toolchain.opencl import float_conv as template
from toolchain.opencl.choose import Choose
from toolchain.opencl.launches import Program, Writer, network_of


def float_program(lowered: Lowered[FloatConv], channels: int, choose: Choose, size: int, dtype: str) -> Program:
    """The network as OpenCL kernels: one launch a convolution.

    Args:
        lowered: with float32 constants.
        channels: of the picture that comes in.
        choose: the cuts of its convolutions.
        size: pixels of the picture that they were chosen for.
        dtype: of the tensors between kernels, "float32" or "float16".

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    network = network_of(lowered)
    convs = {kernel.name: kernel.conv for kernel in lowered.kernels}
    others = [call for call in network.launches if call.call.kernel not in convs]
    for call in others:
        if call.call.kernel != "read_pixels" or call.call.view is None or call.call.view.total != channels:
            raise ModelError(f"this float network needs the kernel {call.call.kernel}, which there is not for OpenCL",
                             hint="deploy it in INT8")
    direct = [call.call.step.writes for call in others if call.call.step.writes is not None]
    writer = Writer(network, lowered.geometry, channels, direct, dtype)
    for call in network.launches:
        if call.call.kernel not in convs:
            continue
        job = writer.job(call, convs[call.call.kernel])
        choice = choose(job)
        writer.conv(call, job, choice, template.build(job, lowered.geometry, choice.cut),
                    template.arrange(job, choice.cut, *call.constants), size)
    return writer.program()
