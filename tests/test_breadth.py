"""Networks beyond plain convolutions, through the whole line with the real compiler."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.conftest import photograph
from tests.expanded import network
from tests.sr_models import Builder, fsrcnn
from toolchain.backends.open import load
from toolchain.bundle import open_bundle
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.quantize import IntegerReference, Settings
from toolchain.runtime.tiles import upscale_tiled
from toolchain.runtime.verify import FLOAT_TOLERANCE
from toolchain.workflows.deploy import Deployment, Request, deploy

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

QUICK = Settings(crop=32, crops_per_image=1, equalize=False, reconstruct=False, correct_bias=False)


def made(model: onnx.ModelProto, folder: Path, photos: Path, *, target: str = "host") -> Deployment:
    onnx.save(model, folder / "net.onnx")
    request = Request(folder / "net.onnx", folder, photos, target=target, value_range="0..1", settings=QUICK)
    return deploy(request)


def features(b: Builder) -> str:
    return b.node("Relu", b.conv("input", 3, 8, identity=3))


def shuffled(b: Builder, x: str, out: str = "output") -> str:
    return b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out=out)


def gated(b: Builder) -> None:
    x = features(b)
    shuffled(b, b.node("Mul", x, b.node("Sigmoid", b.conv(x, 8, 8, 1))))


def averaged(b: Builder) -> None:
    shuffled(b, b.node("AveragePool", features(b), kernel_shape=[3, 3], pads=[1] * 4))


def split(b: Builder) -> None:
    x, parts = features(b), [b.fresh("part"), b.fresh("part")]
    b.nodes.append(helper.make_node("Split", [x, b.const([4, 4], np.int64)], parts, axis=1, name="split"))
    shuffled(b, b.node("Concat", parts[0], b.node("Relu", b.conv(parts[1], 4, 4)), axis=1))


def upscaled_skip(mode: str) -> Callable[[Builder], None]:
    def build(b: Builder) -> None:
        up = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode=mode)
        b.clip(b.node("Add", shuffled(b, features(b), ""), up), 0.0, 1.0, out="output")

    return build


def instance_normed(b: Builder) -> None:
    shuffled(b, b.node("InstanceNormalization", features(b), b.const(np.full(8, 0.3)), b.const(np.full(8, 0.4))))


def row_normed(b: Builder) -> None:
    x = features(b)
    rows = b.node("ReduceMean", b.node("Mul", x, x), axes=[3])
    shuffled(b, b.node("Div", x, b.node("Sqrt", b.node("Add", rows, b.const(1.0)))))


def group_normed(b: Builder) -> None:
    """As PyTorch exports it."""
    x = features(b)
    y = b.node("Reshape", x, b.const([0, 2, -1], np.int64))
    y = b.node("InstanceNormalization", y, b.const(np.ones(2)), b.const(np.zeros(2)))
    y = b.node("Mul", b.node("Reshape", y, b.node("Shape", x)), b.const(np.full((8, 1, 1), 0.3)))
    shuffled(b, b.node("Add", y, b.const(np.full((8, 1, 1), 0.4))))


def layer_normed(b: Builder) -> None:
    """Normalization over channels, as NAFNet spells it."""
    x = features(b)
    x = b.node("Sub", x, b.node("ReduceMean", x, axes=[1]))
    variance = b.node("ReduceMean", b.node("Mul", x, x), axes=[1])
    x = b.node("Div", x, b.node("Sqrt", b.node("Add", variance, b.const(1e-4))))
    shuffled(b, b.node("Add", b.node("Mul", x, b.const(np.full((1, 8, 1, 1), 0.3))), b.const(0.4)))


@pytest.mark.parametrize(
    ("build", "stays"),
    [
        (row_normed, {"mean", "multiply", "add", "sqrt", "divide"}),
        (instance_normed, set()),
        (group_normed, set()),
        (layer_normed, set()),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_normalization_over_rows_stays_float_and_is_named_others_do_not(
    build: Callable[[Builder], None], stays: set[str], tmp_path: Path, photo_folder: Path
):
    b = Builder(1)
    build(b)
    done = made(b.model(3, 2), tmp_path, photo_folder)
    coverage = done.manifest.coverage
    assert coverage.integer_convolutions == coverage.convolutions > 0
    assert set(coverage.float_operators) == stays
    assert len(done.verified) == 10
    assert max(case.difference for case in done.verified) == 0, "sums are the same on every machine"


def spatially_attended(b: Builder) -> None:
    """As CBAM has it (arXiv 1807.06521), and as its authors spell it."""
    x = features(b)
    mean = b.node("Unsqueeze", b.node("ReduceMean", x, axes=[1], keepdims=0), b.const([1], np.int64))
    largest = b.node("ReduceMax", x, axes=[1])
    gate = b.node("Sigmoid", b.conv(b.node("Concat", mean, largest, axis=1), 2, 1, 7))
    shuffled(b, b.node("Mul", x, gate))


def channels_last(b: Builder) -> None:
    """A block of ConvNeXt (arXiv 2201.03545), as PyTorch exports it."""
    x = features(b)
    y = b.node("Transpose", b.conv(x, 8, 8), perm=[0, 2, 3, 1])
    y = b.node("LayerNormalization", y, b.const(np.full(8, 0.3)), b.const(np.full(8, 0.1)), axis=-1)
    y = b.node("Add", b.node("MatMul", y, b.const(b.rng.normal(0, 0.3, (8, 16)))), b.const(np.full(16, 0.1)))
    y = b.node("Mul", y, b.node("Sigmoid", y))
    y = b.node("Mul", b.node("MatMul", y, b.const(b.rng.normal(0, 0.3, (16, 8)))), b.const(np.full(8, 0.5)))
    shuffled(b, b.node("Add", x, b.node("Transpose", y, perm=[0, 3, 1, 2])))


@pytest.mark.parametrize("build", [spatially_attended, channels_last], ids=lambda given: given.__name__)
def test_what_works_on_the_channels_of_each_pixel_streams(
    build: Callable[[Builder], None], tmp_path: Path, photo_folder: Path
):
    b = Builder(1)
    build(b)
    done = made(b.model(3, 2), tmp_path, photo_folder)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert done.manifest.halo < 12
    assert [case.difference for case in done.verified] == [0] * 10
    upscale, pixels = load(open_bundle(done.path)).upscale, photograph(61, 83, 4)
    tiled = upscale_tiled(upscale, pixels, scale=2, halo=done.manifest.halo, tile=29)
    np.testing.assert_array_equal(tiled, upscale(pixels))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_an_interpolated_skip_is_integer(mode: str, tmp_path: Path, photo_folder: Path):
    b = Builder(1)
    upscaled_skip(mode)(b)
    done = made(b.model(3, 2), tmp_path, photo_folder)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert [case.difference for case in done.verified] == [0] * 10


def later_stages(b: Builder) -> None:
    """Two pixel shuffles: the second half runs at twice the size."""
    x = b.depth_to_space(b.conv(features(b), 8, 32, identity=8, repeat=4), 2)
    y = b.conv(b.node("Relu", b.conv(x, 8, 8)), 8, 8)
    shuffled(b, b.node("Relu", b.node("Add", x, y)))


def test_convolutions_after_a_pixel_shuffle_are_integer_too(tmp_path: Path, photo_folder: Path):
    b = Builder(1)
    later_stages(b)
    done = made(b.model(3, 4), tmp_path, photo_folder)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert [case.difference for case in done.verified] == [0] * 10


def reflected(b: Builder) -> None:
    x = b.node("Pad", features(b), b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect")
    w = b.const(b.rng.normal(0, 0.1, (12, 8, 3, 3)))
    b.depth_to_space(b.node("Conv", x, w, b.const(np.full(12, 0.4))), 2, out="output")


def brightened(b: Builder) -> None:
    """The picture's mean is taken off, and its channels are swapped."""
    x = b.node("Gather", b.node("Sub", "input", b.const(0.5)), b.const([2, 1, 0], np.int64), axis=1)
    b.depth_to_space(b.node("Add", b.conv(x, 3, 12, identity=3, repeat=4), b.const(0.5)), 2, out="output")


def cropped(b: Builder) -> None:
    x = b.node("Pad", features(b), b.const([0, 0, 2, 2, 0, 0, 2, 2], np.int64), mode="edge")
    shuffled(b, b.node("Pad", b.conv(x, 8, 8, identity=8), b.const([0, 0, -2, -2, 0, 0, -2, -2], np.int64)))


def curved(b: Builder) -> None:
    """SiLU, GELU by tanh, a curve of gamma at the end."""
    x = b.conv("input", 3, 8, identity=3)
    x = b.conv(b.node("Mul", x, b.node("Sigmoid", x)), 8, 8, identity=8)
    cubic = b.node("Mul", b.node("Pow", x, b.const(3.0)), b.const(0.044715))
    gate = b.node("Tanh", b.node("Mul", b.node("Add", x, cubic), b.const(0.7978846)))
    x = b.node("Mul", b.node("Mul", x, b.const(0.5)), b.node("Add", gate, b.const(1.0)))
    x = b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2)
    b.node("Pow", b.clip(x, 0.0, 1.0), b.const(0.8), out="output")


def down_and_up(b: Builder) -> None:
    """A U: halved by pooling, by a stride, and up again beside what was left there."""
    x = b.conv("input", 3, 8, identity=3)
    half = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    down = b.const(b.rng.normal(0, 0.1, (8, 8, 3, 3)))
    quarter = b.node("Relu", b.node("Conv", half, down, strides=[2, 2], pads=[1] * 4))
    back = b.node("Concat", b.depth_to_space(b.conv(quarter, 8, 16, 1), 2), half, axis=1)
    shuffled(b, b.node("Add", b.depth_to_space(b.conv(back, 12, 32), 2), x))


@pytest.mark.parametrize(
    "build", [split, brightened, cropped, reflected, gated, curved, down_and_up], ids=lambda build: build.__name__
)
def test_what_is_integer_runs_in_tiles(build: Callable[[Builder], None], tmp_path: Path, photo_folder: Path):
    b = Builder(1)
    build(b)
    done = made(b.model(3, 2), tmp_path, photo_folder)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert [case.difference for case in done.verified] == [0] * 10
    upscale = load(open_bundle(done.path)).upscale
    pixels = photograph(61, 83, 5)
    tiled = upscale_tiled(upscale, pixels, scale=2, halo=done.manifest.halo, tile=20)
    np.testing.assert_array_equal(tiled, upscale(pixels))


def normed(b: Builder) -> None:
    """A float operator, and codes that are moved before they are read."""
    x = b.node("Softmax", features(b), axis=1)
    x = b.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
    shuffled(b, x)


def test_what_a_float_operator_makes_may_be_moved(tmp_path: Path, photo_folder: Path):
    b = Builder(1)
    normed(b)
    done = made(b.model(3, 2), tmp_path, photo_folder)
    assert set(done.manifest.coverage.float_operators) == {"softmax"}
    assert max(case.difference for case in done.verified) <= FLOAT_TOLERANCE


@pytest.mark.parametrize("target", ["x86-avx512vnni", "x86-avx2", "x86-sse4"])
def test_a_transposed_convolution_is_integer(tmp_path: Path, photo_folder: Path, target: str):
    done = made(fsrcnn(3, features=8, shrunk=4, maps=1), tmp_path, photo_folder, target=target)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert all(case.difference == 0 for case in done.verified)
    if done.verified:
        bundle = open_bundle(done.path)
        pixels = photograph(23, 37, 5)[:, :, :1]
        assert np.array_equal(load(bundle).upscale(pixels), IntegerReference(bundle.model()).run(pixels))


def test_branches_are_merged_before_they_are_quantized(tmp_path: Path, photo_folder: Path):
    done = made(network("ecb", merged=False, features=4, blocks=1), tmp_path, photo_folder)
    assert (done.manifest.coverage.convolutions, done.manifest.coverage.share) == (3, 1.0)
    assert done.manifest.macs_per_pixel == 9 * (4 + 16 + 16)
    assert [case.difference for case in done.verified] == [0] * 10


def strided(b: Builder) -> None:
    w = b.const(b.rng.normal(0, 0.2, (8, 3, 3, 3)))
    x = b.node("Conv", "input", w, strides=[2, 2], pads=[1] * 4)
    b.depth_to_space(b.conv(x, 8, 48), 4, out="output")


def sized(b: Builder) -> None:
    x = features(b)
    small = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    gate = b.node("Resize", small, "", "", b.node("Shape", x), mode="linear")
    shuffled(b, b.node("Mul", x, b.node("Sigmoid", gate)))


@pytest.mark.parametrize("build", [strided, sized], ids=["a stride", "back to the size of another tensor"])
def test_what_goes_down_before_it_goes_up_is_integer(
    build: Callable[[Builder], None], tmp_path: Path, photo_folder: Path
):
    b = Builder(1)
    build(b)
    done = made(b.model(3, 2), tmp_path, photo_folder)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert [case.difference for case in done.verified] == [0] * len(done.verified)
    assert done.manifest.halo < UNBOUNDED_HALO, "in pictures of even sides the factor is two"
    assert done.manifest.unit == 2
