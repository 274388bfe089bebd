"""From a lowered integer network to OpenCL: kernels, constants and the plan of launches."""

from __future__ import annotations

from toolchain.kernels.spec import Conv, Draw, Elementwise, Pack
from toolchain.lower.calls import Launch as Call
from toolchain.lower.lowered import Lowered, Network
from toolchain.opencl import conv as template
from toolchain.opencl import words
from toolchain.opencl.launches import Program, Shape, Writer, network_of


def program(lowered: Lowered[Conv], channels: int, shape: Shape) -> Program:
    """The network as OpenCL kernels: one launch a convolution, and one a sum that is not part of one.

    Args:
        lowered: with the weights in the plain order of `toolchain.kernels.intrinsics.portable`.
        channels: of the picture that comes in.
        shape: how work is cut.

    Raises:
        ModelError: a part of the network has no OpenCL kernel.
    """
    network = network_of(lowered)
    writer = Writer(network, lowered.geometry, channels, shape, _pictures(network), "uint32")
    for call in network.launches:
        if isinstance(call.operation, Conv):
            _conv(writer, call, call.operation)
        elif call.call.step.writes not in writer.direct:
            _words(writer, call)
    return writer.program()


def _pictures(network: Network) -> set[int]:
    """Tensors that are the packed picture and nothing else, and are read by convolutions only."""
    found = set()
    for call in network.launches:
        writes = call.call.step.writes
        if isinstance(call.operation, Pack) and call.operation.target.total == 1 and writes is not None:
            readers = [other for other in network.launches if writes in [r.buffer for r in other.call.step.reads]]
            if all(isinstance(reader.operation, Conv) for reader in readers):
                found.add(writes)
    return found


def _conv(writer: Writer, call: Call, conv: Conv) -> None:
    item = template.item_for(conv, writer.shape.pixels, writer.shape.sums)
    weights, bias, multiplier, *slopes = call.constants
    arrays = template.arrange(conv, item, weights, bias, multiplier, slopes[0] if slopes else None)
    picture, *anchor = writer.pictures(call)
    function = template.build(conv, writer.geometry, item, writer.shape.group, picture=picture,
                              anchor=anchor[0] if anchor else None)
    writer.launch(call, function, arrays, item.pixels, item.depth)


def _words(writer: Writer, call: Call) -> None:
    operation, cut = call.operation, (writer.geometry, writer.shape.pixels, writer.shape.group)
    match operation:
        case Elementwise():
            function = words.add(operation, *cut)
        case Pack():
            function = words.pack(operation, *cut)
        case Draw():
            function = words.draw(operation, *cut)
    writer.launch(call, function, dict(zip(["slopes"], call.constants, strict=False)), writer.shape.pixels, 1)
