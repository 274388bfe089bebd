"""Whole networks compiled for Arm give the reference's pixels, under an emulator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests import arm
from tests.instruction_sets import ARM
from tests.lower.compiled import compiled, picture
from tests.lower.functions import SPELLINGS
from tests.lower.nets import FINE, PIXEL, Act, Net
from tests.lower.products import POOLED, finished
from tests.lower.test_down import down_and_up
from toolchain.frontend.unit import unit_of
from toolchain.images.units import extended
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import pack, unpack
from toolchain.lower import lower_model
from toolchain.lower.stream import ENTRY
from toolchain.quantize import IntegerReference
from toolchain.reference.global_pool import run_pool
from toolchain.reference.products import run_pair
from toolchain.reference.program import parse
from toolchain.reference.steps import Codes, GlobalPoolStep, ProductStep
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


def multiplied() -> onnx.ModelProto:
    """Products and extremes, of 8 bits and of 16."""
    net = Net()
    x = net.pair("Mul", net.conv(net.input, 8, zero=90), net.conv(net.input, 8, scale=FINE, zero=3000), zero=100)
    y = net.pair("Max", net.pair("Mul", x, net.conv(net.input, 1), after=Act("PRelu"), scale=FINE), x, zero=9)
    return net.model(net.conv(y, 12, residual=net.concat(*[net.input] * 4)), 2)


def normalized() -> onnx.ModelProto:
    """Normalization over channels of 8 bits and of 16."""
    net = Net()
    x = net.normalized(net.conv(net.input, 10, scale=FINE, zero=3000), zero=70)
    return net.model(net.conv(net.normalized(net.conv(x, 8), scale=FINE, zero=9), 12), 2)


def spatial() -> onnx.ModelProto:
    """The largest and smallest of every pixel's numbers, of 8 bits and of 16."""
    net = Net()
    x = net.conv(net.input, 10, scale=FINE, zero=3000)
    y = net.concat(net.pooled_channels(x), net.pooled_channels(net.conv(x, 7, zero=60), "ReduceMin"))
    return net.model(net.conv(net.pair("Mul", x, net.conv(y, 1, 5), zero=9), 12), 2)


def mixed() -> onnx.ModelProto:
    """Tensors of which some channels have 16 bits, read by convolutions of several taps and of one."""
    net = Net()
    x = net.mixed(net.mixed(net.input, 8, 5, act=Act("PRelu")), 4, 8)
    return net.model(net.conv(net.mixed(x, 8, 8, 1), 12, 1, residual=net.concat(*[net.input] * 4)), 2)


def tabled() -> onnx.ModelProto:
    """Functions of codes of 8 bits and of 16, of which one takes few steps while the low byte grows."""
    net = Net()
    x = net.conv(net.input, 8, scale=4 * PIXEL, zero=130)
    x = net.quantized(SPELLINGS["silu"].write(net, x.name), 8, 2 * PIXEL, 60)
    y = net.conv(x, 8, scale=4 * FINE, zero=130 * 257)
    y = net.quantized(net.node("Tanh", y.name), 8, 3 * PIXEL, 128)
    return net.model(net.conv(y, 12, residual=net.concat(*[net.input] * 4)), 2)


@ARM
@pytest.mark.parametrize(
    "make", [branches, luma, wide, enlarged, interpolated, multiplied, normalized, spatial, down_and_up, mixed, tabled]
)
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
        unit, scale = unit_of(model), len(wanted) // height
        given = extended(pixels, unit)
        sizes = [given.shape[0], -(-given.shape[1] // dot.columns), given.shape[1]]
        result = np.zeros((given.shape[0] * scale, given.shape[1] * scale, wanted.shape[2]), np.uint8)
        made = arm.call(library.executable, target, [given, *constants, *sizes, result], name=ENTRY)
        got = made[: len(wanted), : wanted.shape[1]]
        np.testing.assert_array_equal(got, wanted, err_msg=f"{height} x {width}")
    assert len(np.unique(wanted)) > 50


@ARM
@pytest.mark.parametrize("name", ["attention", "attention of 16 bits"])
def test_global_pooling_and_what_it_multiplies_give_the_reference(target: Target, name: str):
    model = finished(POOLED[name])
    arm.emulator(target)  # skips before it compiles
    library, lowered = compiled(model, target, layers=True), lower_model(model, dot_product(target.instruction_set))
    geometry, (height, width) = lowered.geometry, (37, 83)
    sizes = [height, geometry.tiles(width), width]
    steps = {type(step): step for step in parse(model).steps}
    pool, product = steps[GlobalPoolStep], steps[ProductStep]
    random = np.random.default_rng(0)

    def call(name: str, *arguments: np.ndarray | int) -> np.ndarray:
        return arm.call(library.executable, target, arguments, name=name)

    def codes_of(given: Codes, height: int, width: int) -> np.ndarray:
        return random.integers(0, given.quantization.qmax + 1, (8, height, width)).astype(given.quantization.dtype)

    def packed(codes: np.ndarray, given: Codes) -> np.ndarray:
        return pack(codes, geometry, given.quantization.zero_point)

    picture_codes = codes_of(pool.source, height, width)
    kind = np.int64 if pool.source.quantization.wide else np.uint32
    rows = call("pool_rows", packed(picture_codes, pool.source), *sizes, np.zeros((height, 8), kind))
    wanted = packed(run_pool(pool, {pool.source.tensor: picture_codes}), pool.out)
    np.testing.assert_array_equal(call("pool_all", rows, *sizes, np.zeros_like(wanted)), wanted)

    pixel = codes_of(product.factors[1], 1, 1)
    both = (picture_codes, pixel)
    wanted = run_pair(product, {factor.tensor: codes for factor, codes in zip(product.factors, both, strict=True)})
    operands = [packed(codes, factor) for codes, factor in zip(both, product.factors, strict=True)]
    got = call("run_multiply", *operands, *sizes, np.zeros(geometry.shape(2, height, sizes[1]), np.uint32))
    np.testing.assert_array_equal(unpack(got, geometry, 8, height, width), wanted)
