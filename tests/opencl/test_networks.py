"""OpenCL kernels give the integer reference's bytes, on a CPU's OpenCL: whole networks, and one for every structure."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from tests.lower.nets import FINE, PIXEL, Act, Net, Tensor
from tests.lower.products import CHANNEL_POOLED, POOLED, PRODUCTS, finished
from tests.lower.test_down import down_and_up
from tests.lower.test_models import quantized
from tests.lower.test_networks import networks
from tests.opencl.devices import assert_equal, made
from toolchain.bundle.launch_plan import PICTURE, RESULT, Size
from toolchain.support.errors import ModelError

DOT_PRODUCT = """
#define __opencl_c_integer_dot_product_input_4x8bit_packed 1
int dot_4x8packed_us_int(uint a, uint b);
int dot_4x8packed_us_int(uint a, uint b) {
  int sum = 0;
  for (int i = 0; i < 4; ++i) sum += (int)((a >> (8 * i)) & 255u) * (int)(char)((b >> (8 * i)) & 255u);
  return sum;
}
"""
"""What the extension's words say, in plain C: a driver that has it would give that."""


@pytest.mark.parametrize("name", ["xlsr", "abpn"])
def test_networks(name: str, quick_build: None):
    check_network(name)


def test_with_the_drivers_optimizations():
    check_network("espcn")


def check_network(name: str) -> None:
    model = quantized(name).model
    found = assert_equal(model, "mali-g78")
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    assert len(found.plan.launches) == convolutions, "one launch a convolution, and none besides"
    assert PICTURE in found.plan.launches[0].arguments
    assert RESULT in found.plan.launches[-1].arguments


@pytest.fixture
def quick_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the driver's optimizations, which take most of the time."""
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")


def test_the_dot_product_extension_is_used_as_it_is_specified(quick_build: None):
    net = Net()
    model = net.model(net.conv(net.conv(net.input, 4), 3))
    assert_equal(model, "mali-g78", before=DOT_PRODUCT, integer_dot=True)


@pytest.mark.parametrize(("given", "made"), [(PIXEL, PIXEL), (FINE, PIXEL), (FINE, FINE)])
def test_tables(given: float, made: float, quick_build: None):
    net = Net()
    x = net.conv(net.input, 9, scale=2 * given, zero=100 * 257 if given == FINE else 100)
    x = net.quantized(net.node("Mul", x.name, net.node("Sigmoid", x.name)), 9, made)
    scaled = net.node("Mul", net.conv(x, 1).name, net.const(np.linspace(0.5, 2, 6).reshape(6, 1, 1)))
    found = assert_equal(net.model(net.conv(net.quantized(scaled, 6), 3)), "mali-g78")
    assert sum(kernel.name.startswith("lookup") for kernel in found.kernels) == 2


@pytest.mark.parametrize("choose", ["mali-g78", "single"])
def test_down_and_up(choose: str, quick_build: None):
    found = assert_equal(down_and_up(), choose)
    assert found.plan.unit == 4
    assert {buffer.size for buffer in found.plan.buffers} == {Size.times(scale) for scale in (1, 2, 4)}


def every_structure(net: Net) -> Tensor:
    """A network of few kernels that between them do all that a kernel can."""
    x = net.conv(net.input, 16, zero=33, act=Act("LeakyRelu"))
    groups = net.conv(x, 16, groups=2, zero=100)
    single = net.conv(groups, 1, 1, zero=9)
    repeated = net.conv(groups, 8, 1, residual=single, swapped=True)
    uneven = net.conv(
        net.concat(repeated, net.conv(x, 4, 1)),
        8,
        dilation=2,
        pads=[0, 3, 4, 1],
        act=Act("Clip"),
        residual=repeated,
        after=Act("Clip", -0.1, 0.2),
        zero=90,
    )
    return net.conv(uneven, 12, 1, act=Act("PRelu"), residual=net.concat(*[net.input] * 4), after=Act("Relu"))


@pytest.mark.parametrize("choose", ["mali-g52", "adreno-640", "single", "large"])
def test_structures(choose: str, quick_build: None):
    net = Net()
    assert_equal(net.model(net.conv(every_structure(net), 12, groups=3, zero=4), 2), choose)


@pytest.mark.parametrize(("mode", "scale", "choose"), [("DCR", 3, "opencl-cpu"), ("CRD", 4, "single")])
def test_pictures_with_an_anchor_in_the_last_kernel(mode: str, scale: int, choose: str, quick_build: None):
    net = Net()
    anchor = net.concat(*[net.input] * scale**2)
    x = net.conv(net.input, 4, 1)
    assert_equal(net.model(net.conv(x, 3 * scale**2, residual=anchor), scale, mode), choose)


def sums_and_scales(net: Net) -> Tensor:
    """A network that needs every kernel besides convolutions."""
    x = net.conv(net.input, 5, 1, zero=40)
    other = net.quantized(net.activated(x.name, 5, Act("PRelu")), 5, PIXEL * 1.3, 40)
    joined = net.concat(x, other, net.input, scale=PIXEL * 1.3, zero=40)
    return net.add(net.add(joined, net.conv(joined, 13, 1)), net.conv(x, 1, 1, zero=3), after=Act("LeakyRelu"), zero=9)


def test_sums_and_pictures_without_convolutions(quick_build: None):
    net = Net()
    x = net.concat(sums_and_scales(net), net.input, scale=PIXEL, zero=9)
    odd = net.quantized(net.node("Add", x.name, net.conv(x, 16, 1).name), 16, zero=2)
    found = assert_equal(net.model(net.add(net.conv(odd, 12, 1), net.conv(odd, 12, 1)), 2), "single")
    names = {kernel.name.split("_")[0] for kernel in found.kernels}
    assert {"pack", "add", "rescale", "store"} <= names


@pytest.mark.parametrize("bounds", [(float("-inf"), 0.3), (-0.1, float(np.finfo(np.float32).max))])
def test_a_bound_on_one_side_before_a_sum(bounds: tuple[float, float], quick_build: None):
    net = Net()
    x = net.conv(net.input, 4)
    assert_equal(net.model(net.conv(x, 3, act=Act("Clip", *bounds), residual=net.input)), "mali-g78")


def test_buffers_are_shared_where_their_surroundings_are_alike():
    net = Net()
    x = net.input
    for zero in (0, 0, 0, 5, 0):
        x = net.conv(x, 8, 1, zero=zero)
    found = made(net.model(net.conv(x, 3)), "mali-g78")
    assert sorted((buffer.blocks, buffer.zero_point) for buffer in found.plan.buffers) == [(2, 0), (2, 0), (2, 5)]


def bent(net: Net) -> Tensor:
    return net.conv(net.quantized(net.node("Softmax", net.conv(net.input, 8).name, axis=1), 8), 3)


def test_what_has_no_kernel_is_named_with_its_node():
    net = Net()
    model = net.model(bent(net))
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    softmax.name = "/net/Softmax_4"
    words = "there is no OpenCL kernel for operator Softmax '/net/Softmax_4'; deploy it for a CPU: OpenCL runs conv"
    with pytest.raises(ModelError, match=words):
        made(model, "mali-g78")


def test_of_many_some_are_named():
    net = Net()
    x = net.conv(net.input, 8)
    for _ in range(5):
        x = net.quantized(net.node("Softmax", x.name, axis=1), 8)
    model = net.model(net.conv(x, 3))
    found = [node for node in model.graph.node if node.op_type == "Softmax"]
    for number, node in enumerate(found):
        node.name = f"t{number}"
    with pytest.raises(ModelError, match=r"operators Softmax 't0', Softmax 't1', Softmax 't2' and 2 more; deploy"):
        made(model, "mali-g78")


def interpolated(net: Net) -> Tensor:
    """A picture enlarged in two ways, added to a shuffle of 16 bits, and what comes of that once more."""
    x = net.shuffled(net.conv(net.input, 36, scale=FINE, zero=257 * 30), 3, "DCR")
    x = net.conv(net.resized(net.input, 3, residual=net.conv(x, 3), mode="cubic", zero=9), 4)
    slopes = net.resized(x, 2, act=Act("PRelu"), coordinate_transformation_mode="asymmetric")
    return net.conv(slopes, 3)


@pytest.mark.parametrize("choose", ["mali-g78", "single"])
def test_interpolation(choose: str, quick_build: None):
    net = Net()
    found = assert_equal(net.model(interpolated(net)), choose)
    assert sum(kernel.name.startswith("enlarge") for kernel in found.kernels) == 2


def two_stages(net: Net) -> Tensor:
    """As EDSR ends: blocks with a sum around them, then twice a convolution and a shuffle, then a convolution."""
    first = net.conv(net.input, 8, zero=9)
    x = net.conv(net.conv(first, 8, act=Act("Relu")), 8, residual=first, zero=40)
    x = net.shuffled(net.conv(x, 32, zero=17), 2, "DCR")
    return net.conv(net.shuffled(net.conv(x, 32), 2, "CRD"), 3)


@pytest.mark.parametrize("choose", ["mali-g78", "adreno-640", "single"])
def test_the_picture_is_enlarged_in_two_stages(choose: str, quick_build: None):
    net = Net()
    found = assert_equal(net.model(two_stages(net)), choose)
    assert [launch.size for launch in found.plan.launches] == [Size.times(n) for n in (1, 1, 1, 1, 1, 2, 2, 4)]
    assert {buffer.size for buffer in found.plan.buffers} == {Size.times(scale) for scale in (1, 2, 4)}
    assert found.plan.scale == 4


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_what_a_larger_tensor_may_be(mode: str, quick_build: None):
    """Channels that are no whole words, 16 bits, a concatenation, a sum and a residual, and a picture at the end."""
    net = Net()
    x = net.shuffled(net.conv(net.input, 45, zero=77), 3, mode)
    y = net.shuffled(net.conv(net.input, 45, 1, scale=FINE, zero=257 * 5), 3, mode)
    joined = net.concat(x, y, scale=PIXEL, zero=77)
    total = net.add(joined, net.conv(joined, 10, 1), zero=4)
    found = assert_equal(net.model(net.conv(total, 12, residual=net.conv(x, 1, 1)), 2, mode), "opencl-cpu")
    assert found.plan.scale == 6


@given(networks(stages=2, scales=(PIXEL, PIXEL * 1.3)))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_graphs_of_two_sizes(model: onnx.ModelProto):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
        found = assert_equal(model, "opencl-cpu")
    assert Size.times(2) in {launch.size for launch in found.plan.launches}


def of_16_bits(net: Net) -> Tensor:
    """Readers and writers of either width: groups, residuals, sums, concatenations, a picture."""
    x = net.conv(net.input, 16, act=Act("Relu"), scale=FINE)
    groups = net.conv(x, 16, groups=2, residual=x, scale=FINE, zero=257 * 40)
    single = net.conv(groups, 1, 1, scale=FINE, zero=257 * 3)
    repeated = net.conv(groups, 8, 1, residual=single, scale=FINE, zero=257 * 3)
    joined = net.concat(repeated, net.conv(x, 5, 1, zero=9), net.input, scale=FINE, zero=257 * 3)
    total = net.add(joined, net.conv(joined, 16, zero=7), scale=FINE, zero=257 * 9)
    return net.conv(total, 12, 1, residual=net.concat(*[net.input] * 4))


@pytest.mark.parametrize("choose", ["mali-g78", "adreno-640", "single"])
def test_tensors_of_16_bits(choose: str, quick_build: None):
    net = Net()
    assert_equal(net.model(of_16_bits(net), 2), choose)


@pytest.mark.parametrize("choose", ["mali-g78", "single"])
def test_16_bits_of_some_channels(choose: str, quick_build: None):
    net = Net()
    x = net.mixed(net.mixed(net.input, 8, 5, act=Act("PRelu")), 4, 8)
    assert_equal(net.model(net.conv(x, 12, residual=net.concat(*[net.input] * 4)), 2), choose)


def test_zero_points_of_two_different_bytes(quick_build: None):
    net = Net()
    x = net.conv(net.input, 8, scale=FINE, zero=300)
    found = assert_equal(net.model(net.conv(net.conv(x, 8, scale=FINE, zero=257), 3)), "mali-g78")
    assert {(buffer.zero_point, buffer.low) for buffer in found.plan.buffers} == {(1, 44), (1, None)}


PER_PIXEL = [name for name in PRODUCTS if name.startswith("normalized")] + list(CHANNEL_POOLED)


@pytest.mark.parametrize("name", ["product, PReLU", "16 and 8 bits", "larger of 16 bits", "of one channel", *PER_PIXEL])
def test_products_and_extremes(name: str, quick_build: None):
    assert_equal(finished(PRODUCTS[name]), "mali-g78")


@pytest.mark.parametrize("name", ["attention of 16 bits", "the largest of 16 bits", "both, side by side", "contrast"])
def test_global_pooling(name: str, quick_build: None):
    for choose in ("mali-g78", "single"):
        assert_equal(finished(POOLED[name]), choose)
