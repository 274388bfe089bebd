"""Whole networks compiled for Arm give the reference's pixels, under an emulator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests import arm
from tests.instruction_sets import ARM
from tests.lower.compiled import compiled, picture
from tests.lower.nets import FINE, Act, Net
from toolchain.kernels.intrinsics import dot_product
from toolchain.lower import lower_model
from toolchain.lower.stream import ENTRY
from toolchain.quantize import IntegerReference
from toolchain.targets import Target


def branches() -> onnx.ModelProto:
    """Everything that streams: groups, activations, a concatenation, a sum, a residual, an anchor."""
    net = Net()
    x = net.conv(net.input, 16, act=Act("Relu"))
    parts = net.concat(net.conv(x, 8, groups=2, zero=3), net.conv(x, 5, 1, act=Act("PRelu"), zero=3), zero=3)
    y = net.add(net.conv(parts, 16, zero=128), x, after=Act("Relu"))
    return net.model(net.conv(y, 12, residual=net.concat(*[net.input] * 4)), 2)


def luma() -> onnx.ModelProto:
    net = Net(1)
    return net.model(net.conv(net.conv(net.input, 12, 5, act=Act("Clip", 0.0, 0.3)), 9), 3, "DCR")


def wide() -> onnx.ModelProto:
    """Tensors of 16 bits: groups, a concatenation, a residual, a sum."""
    net = Net()
    x = net.conv(net.input, 16, act=Act("Relu"), scale=FINE)
    parts = net.concat(
        net.conv(x, 8, groups=2, scale=FINE, zero=3000), net.conv(x, 5, 1, scale=FINE, zero=3000), scale=FINE, zero=3000
    )
    y = net.add(net.conv(parts, 16, residual=x, zero=128), x, scale=FINE, zero=700)
    return net.model(net.conv(y, 12, residual=net.concat(*[net.input] * 4)), 2)


def enlarged() -> onnx.ModelProto:
    """Four times as large by two shuffles, nearest neighbours beside: tensors of three sizes."""
    net = Net()
    x = net.shuffled(net.conv(net.input, 20, act=Act("Relu"), zero=3), 2, "DCR")
    near = net.shuffled(net.concat(*[net.input] * 4), 2, "DCR")
    y = net.concat(net.conv(x, 6, act=Act("PRelu")), near)
    return net.model(net.conv(net.shuffled(net.conv(y, 20), 2, "CRD"), 3), 1)


def interpolated() -> onnx.ModelProto:
    """A picture enlarged by a cubic kernel, added to a tensor of 16 bits, and that linearly."""
    net = Net()
    x = net.shuffled(net.conv(net.input, 20, scale=FINE, zero=9000), 2, "DCR")
    x = net.conv(net.resized(net.input, 2, residual=net.conv(x, 3), mode="cubic", zero=9), 5)
    return net.model(net.conv(net.resized(x, 3, act=Act("PRelu"), zero=30), 3))


@ARM
@pytest.mark.parametrize("make", [branches, luma, wide, enlarged, interpolated])
def test_a_network_gives_the_reference(target: Target, make):
    model = make()
    arm.emulator(target)  # skips before it compiles
    dot = dot_product(target.instruction_set)
    library, network, reference = compiled(model, target), lower_model(model, dot).network, IntegerReference(model)
    assert library.stream is not None
    assert network is not None
    constants = [array for launch in network.launches for array in launch.constants]
    for height, width in ((1, 1), (37, 83)):
        pixels = picture(height, width, model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)
        wanted = reference.run(pixels)
        sizes = [height, -(-width // dot.columns), width]
        got = arm.call(library.executable, target, [pixels, *constants, *sizes, np.zeros_like(wanted)], name=ENTRY)
        np.testing.assert_array_equal(got, wanted, err_msg=f"{height} x {width}")
    assert len(np.unique(wanted)) > 50
