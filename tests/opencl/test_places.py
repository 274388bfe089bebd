"""OpenCL kernels on tensors of any size: interpolation, borders, and layers that change a picture's size."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx
import pytest
from tvm import tirx

from tests.lower.compiled import picture
from tests.lower.nets import FINE, Act, Net, Tensor
from tests.lower.test_averages import CASES as AVERAGES
from tests.lower.test_averages import averaging
from tests.lower.test_down import CONVOLUTIONS, POOLS, pooling, stepping
from tests.lower.test_frame import network
from tests.lower.test_places import SURROUNDED, WINDOWS
from tests.lower.test_resize import WHOLE
from tests.opencl.devices import assert_equal, made, runner
from tests.test_fractions import half_again, third_more
from toolchain.backends.opencl.sizes import size_of
from toolchain.bundle.launch_plan import Change, Size
from toolchain.frontend import normalize
from toolchain.frontend.smallest import smallest_picture
from toolchain.quantize.stand_in import stand_in
from toolchain.support.errors import ModelError, TooSmallError


@pytest.fixture(autouse=True)
def _quick_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the driver's optimizations, which take most of the time."""
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")


def finished(build: Callable[[Net], Tensor], scale: int = 1) -> onnx.ModelProto:
    net = Net()
    return net.model(net.conv(build(net), 3 * scale**2), scale)


@pytest.mark.parametrize("name", WHOLE)
def test_interpolation_by_any_factor(name: str):
    found = assert_equal(finished(WHOLE[name]), "mali-g78")
    assert any(kernel.name.startswith("resample") for kernel in found.kernels)


@pytest.mark.parametrize("name", [*SURROUNDED, *WINDOWS])
def test_borders(name: str):
    found = assert_equal(finished({**SURROUNDED, **WINDOWS}[name], 2), "mali-g78")
    assert {kernel.name.split("_")[0] for kernel in found.kernels} & {"surround", "pad", "crop"}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_by_steps(name: str):
    assert_equal(stepping(name)[0], "mali-g78")


@pytest.mark.parametrize("name", POOLS)
def test_pools(name: str):
    assert_equal(pooling(name), "mali-g78")


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_without_what_lies_beyond(name: str):
    found = assert_equal(averaging(name, wide=name == "uneven"), "mali-g78")
    assert any(kernel.name.startswith("average") for kernel in found.kernels)


def test_a_border_that_wraps_around():
    net = Net()
    x = net.windowed(net.conv(net.input, 8, scale=FINE, zero=5), 1, 2, 3, 2, "wrap")
    assert_equal(net.model(net.conv(x, 12, 5, pads=[0, 0, 0, 0]), 2), "mali-g78")


@pytest.mark.parametrize(("mode", "cut", "value"), [("edge", 6, 0.0), ("reflect", 6, 0.0), ("constant", 6, 0.4)])
def test_what_is_around_a_network(mode: str, cut: int, value: float):
    assert_equal(network(mode, cut=cut, value=value), "single")


def attending(net: Net, x: Tensor | None = None) -> Tensor:
    """As RLFN attends: down by two without padding and by three, up to the size that there was."""
    x = x or net.conv(net.input, 8, act=Act("LeakyRelu"))
    narrow = net.conv(x, 4, 1)
    small = net.largest(net.conv(narrow, 4, stride=2, pads=[0, 0, 0, 0]), 7, 3)
    wide = net.to_picture(net.conv(small, 4), residual=narrow, zero=30)
    return net.pair("Mul", x, net.quantized(net.node("Sigmoid", net.conv(wide, 8, 1).name), 8))


@pytest.mark.parametrize("choose", ["mali-g78", "adreno-640", "single"])
def test_attention_in_a_smaller_picture(choose: str):
    assert_equal(finished(attending, 2), choose)


def test_a_picture_of_which_nothing_is_left():
    model = finished(attending, 2)
    found = made(model, "mali-g78")
    height, width = smallest_picture(model)
    assert (height, width) == (15, 15)
    machine = runner(found)
    with pytest.raises(TooSmallError, match=r"of 15 x 14 pixels nothing is left within this network"):
        machine.upscale(picture(14, 15, 3, 0))
    assert machine.upscale(picture(15, 15, 3, 0)).shape == (30, 30, 3)


@pytest.mark.parametrize("make", [half_again, third_more])
def test_networks_that_scale_by_a_fraction(make: Callable[[], onnx.ModelProto]):
    sr = normalize(make(), value_range="0..1")
    plan = assert_equal(stand_in(sr), "mali-g78").plan
    assert Fraction(plan.scale, plan.over) == sr.scale
    assert plan.unit == sr.unit


def test_a_tensor_with_a_border_shares_no_buffer():
    """What a border wrote around a picture is no zero point for those that come after."""
    net = Net()
    x = net.conv(net.input, 8)
    for _ in range(2):
        x = net.conv(net.conv(net.windowed(x, 1, 1, 1, 1, "reflect"), 8, pads=[0, 0, 0, 0]), 8)
    found = assert_equal(net.model(net.conv(x, 3)), "mali-g78")
    written = [
        launch.arguments[kernel.arguments.index("y")]
        for launch, kernel in zip(found.plan.launches, found.kernels, strict=True)
    ]
    surrounded = [name for name, kernel in zip(written, found.kernels, strict=True) if "surround" in kernel.name]
    assert len(surrounded) == 2
    assert all(written.count(name) == 1 for name in surrounded)


def test_sizes_are_those_of_the_graph():
    """Of every tensor, for many pictures: as the reference has them."""
    plan = made(finished(attending, 2), "mali-g78").plan
    for height, width in ((15, 16), (17, 40), (100, 19)):
        steps = {"half": ((height - 3) // 2 + 1, (width - 3) // 2 + 1)}
        steps["sixth"] = ((steps["half"][0] - 7) // 3 + 1, (steps["half"][1] - 7) // 3 + 1)
        sizes = {buffer.size.of(height, width) for buffer in plan.buffers}
        assert steps["sixth"] in sizes
        assert (height, width) in sizes
    np.testing.assert_equal(plan.fits(14, 15), False)


def test_sizes_that_no_plan_can_say_are_refused():
    height, width = tirx.Var("height", "int64"), tirx.Var("width", "int64")
    half = tirx.floordiv(height * 3 - 2, 4), 2 * width + 5
    assert size_of(half, (height, width)) == Size((Change(3, -2, 4),), (Change(2, 5),))
    with pytest.raises(ModelError, match="a size that no plan for OpenCL can say: height \\* height"):
        size_of((height * height, width), (height, width))
