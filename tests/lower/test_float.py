"""Float networks, compiled, against the float model in onnxruntime: at most one code of 255 apart."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest
import tvm
from hypothesis import given, settings
from tvm import relax

from tests.conftest import photograph
from tests.frontend.test_random import network
from tests.instruction_sets import EVERY
from tests.lower.test_models import NETS
from tests.sr_models import Builder
from toolchain.backends.cpu.float_build import compile_float_model
from toolchain.backends.cpu.pipeline import FINISH, PLAN
from toolchain.frontend import SRModel, normalize
from toolchain.kernels.float_tile import WINOGRAD
from toolchain.kernels.vectors import vectors_for
from toolchain.lower.float_lowering import lower_float_model
from toolchain.runtime.tiles import Tiling
from toolchain.runtime.verify import standard_for
from toolchain.support.errors import ModelError
from toolchain.targets import Target, find_target
from toolchain.targets.llvm import tvm_target
from toolchain.workflows.evaluate import float_upscale

SIZES = ((1, 1), (5, 7), (17, 81))
HOST = find_target("host")


@functools.cache
def normalized(name: str) -> SRModel:
    return normalize(NETS[name]())


def upscaler(executable: object) -> Callable[[np.ndarray], np.ndarray]:
    machine = relax.VirtualMachine(executable, tvm.cpu())
    return lambda pixels: machine["main"](tvm.runtime.tensor(np.ascontiguousarray(pixels))).numpy()


def assert_close(
    model: SRModel, executable: object, tolerance: int = 1, sizes: Sequence[tuple[int, int]] = SIZES
) -> float:
    """Pixels within ``tolerance`` of onnxruntime's on noise and a photograph. Returns the share that differs."""
    upscale, reference = upscaler(executable), float_upscale(model.model, model.value_range, threads=1)
    values = unlike = 0
    for seed, (height, width) in enumerate(sizes):
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, model.channels), dtype=np.uint8)
        for pixels in (noise, photograph(height + 6, width + 6, seed)[:, :, : model.channels]):
            found, expected = upscale(pixels), reference(pixels)
            distance = np.abs(found.astype(int) - expected)
            assert distance.max() <= tolerance, f"{height} x {width}"
            values, unlike = values + distance.size, unlike + int((distance > 0).sum())
    assert len(np.unique(expected)) > 20, "this network says nothing: its pixels are all alike"
    return unlike / values


@EVERY
def test_every_instruction_set(target: Target):
    model = normalized("sesr_prelu_rgb")
    assert assert_close(model, compile_float_model(model, target).executable) < 0.001


@pytest.mark.parametrize("name", sorted(NETS.keys() - {"sesr_prelu_rgb"}))
def test_networks_of_the_zoo(name: str):
    model = normalized(name)
    compiled = compile_float_model(model, HOST)
    assert assert_close(model, compiled.executable) < 0.001
    assert compiled.stream is not None, "rows should stream through all kernels"
    assert (compiled.coverage.integer_macs, compiled.coverage.float_operators) == (compiled.coverage.macs, ())


def test_float16_is_within_its_bound():
    """LLVM emulates halves where the processor has none: what a network is deployed with elsewhere can be seen here."""
    model = normalized("espcn")
    lowered = lower_float_model(model, vectors_for(HOST, "float32").half())
    executable = relax.build(PLAN(lowered.module), target=tvm_target(HOST), relax_pipeline=FINISH)
    assert assert_close(model, executable, standard_for("float16", ()).tolerance) > 0.001, "is this float16?"


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(network())
def test_random_networks(model: onnx.ModelProto):
    sr = normalize(model)
    compiled = compile_float_model(sr, HOST)
    upscale, reference = upscaler(compiled.executable), float_upscale(sr.model, sr.value_range, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 35, sr.channels), dtype=np.uint8)
    assert np.abs(upscale(pixels).astype(int) - reference(pixels)).max() <= 1


@pytest.mark.parametrize("name", ["xlsr", "espcn"])
@pytest.mark.parametrize("side", [31, 16])
def test_tiles_have_the_bytes_of_the_whole(name: str, side: int):
    model = normalized(name)
    compiled = compile_float_model(model, HOST)
    upscale, pixels = upscaler(compiled.executable), photograph(70, 153, 3)[:, :, : model.channels]
    winograd = sum(choice.algorithm == WINOGRAD for choice in compiled.choices.values())  # type: ignore[attr-defined]
    assert compiled.further == 3 * winograd > 0
    tiles = Tiling(model.scale, model.halo + compiled.further, 100.0, side, None)
    assert np.array_equal(tiles.over(upscale)(pixels), upscale(pixels))


def built(write: Callable[[Builder], None], channels: int = 3, scale: int = 2) -> SRModel:
    b = Builder(2)
    write(b)
    return normalize(b.model(channels, scale), value_range="0..1")


def ended(b: Builder, x: str, width: int = 8) -> None:
    b.depth_to_space(b.conv(x, width, 12, identity=3, repeat=4), 2, out="output")


def gated(b: Builder) -> None:
    """A product and a sigmoid in the middle."""
    x = b.conv("input", 3, 8, identity=3)
    ended(b, b.node("Add", b.node("Mul", x, b.node("Sigmoid", b.conv(x, 8, 8))), x))


def interpolated(b: Builder) -> None:
    """A sum at the picture's final size with an interpolated input."""
    large = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode="linear")
    x = b.depth_to_space(b.conv("input", 3, 12, noise=0.5), 2)
    b.node("Add", x, large, out="output")


def pooled(b: Builder) -> None:
    """Weights for whole channels: a tensor of one pixel is added to and multiplied with others."""
    x = b.conv("input", 3, 8, identity=3)
    mean = b.node("GlobalAveragePool", x)
    ended(b, b.node("Add", x, b.node("Sigmoid", mean)))


def turned(b: Builder) -> None:
    """A function that has no kernel."""
    ended(b, b.node("Sin", b.conv("input", 3, 8, identity=3)))


def skewed(b: Builder) -> None:
    """An interpolation whose weights depend on the picture's size."""
    how = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    large = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), **how)
    b.node("Add", b.depth_to_space(b.conv("input", 3, 12, noise=0.5), 2), large, out="output")


def attended(b: Builder) -> None:
    """Attention that is looked up in a smaller picture, which goes back to the size of the larger."""
    x = b.conv("input", 3, 8, identity=3)
    weights, biases = b.const(b.rng.normal(0, 0.2, (8, 8, 3, 3))), b.const(np.zeros(8))
    small = b.node("Conv", x, weights, biases, strides=[2, 2])
    size = b.node("Concat", b.const([1, 8], np.int64), b.node("Shape", x, start=2, end=4), axis=0)
    wide = b.node("Resize", b.conv(small, 8, 8), "", "", size, mode="linear")
    ended(b, b.node("Mul", x, b.node("Sigmoid", b.node("Add", wide, x))))


def picked(b: Builder) -> None:
    """Channels by index, which is part of the weights of the convolution before."""
    x = b.node("Gather", b.conv("input", 3, 8, identity=3), b.const([0, 1, 2, 2, 7, 5, 4, 3], np.int64), axis=1)
    ended(b, x)


def framed(b: Builder) -> None:
    """Borders mirrored, and cut again; channels reordered."""
    x = b.node(
        "Pad",
        b.node("Relu", b.conv("input", 3, 8, identity=3)),
        b.const([0, 0, 2, 1, 0, 0, 1, 2], np.int64),
        mode="reflect",
    )
    x = b.node("Pad", b.conv(x, 8, 12, identity=3, repeat=4), b.const([0, 0, -2, -1, 0, 0, -1, -2], np.int64))
    x = b.node("Concat", b.node("Gather", x, b.const([3, 1, 2], np.int64), axis=1), x, axis=1)
    b.depth_to_space(b.conv(x, 15, 12, source=3, identity=3, repeat=4), 2, out="output")


def two_steps(b: Builder) -> None:
    """A shuffle in the middle: kernels at two sizes."""
    x = b.depth_to_space(b.conv("input", 3, 12, identity=3, repeat=4), 2)
    b.depth_to_space(b.conv(x, 3, 12, identity=3, repeat=4), 2, out="output")


@pytest.mark.parametrize(
    ("write", "operators", "scale"),
    [
        (turned, {"sin"}, 2),
        (picked, set(), 2),
    ],
)
def test_other_operators_are_the_compilers(write: Callable[[Builder], None], operators: set[str], scale: int):
    model = built(write, scale=scale)
    compiled = compile_float_model(model, HOST)
    assert_close(model, compiled.executable, sizes=SIZES)
    assert operators <= set(compiled.coverage.float_operators)
    others = sum(operator == "conv2d" for operator in compiled.coverage.float_operators)
    assert compiled.coverage.integer_convolutions == compiled.coverage.convolutions - others


def dense(b: Builder) -> None:
    """Every layer reads all before it: parts that lie in one concatenation are copied into the next."""
    x = b.conv("input", 3, 4, identity=3)
    for width in (4, 8, 12):
        x = b.node("Concat", x, b.node("Relu", b.conv(x, width, 4)), axis=-3)
    ended(b, x, 16)


def mixed(b: Builder) -> None:
    """The input, a tensor twice and a sum in one concatenation; activations of what is used elsewhere too."""
    x = b.conv("input", 3, 4, identity=3)
    y = b.node("Add", b.node("Relu", x), x)
    ended(b, b.node("Concat", "input", x, x, b.prelu(y, 4), axis=1), 15)


def interleaved(b: Builder) -> None:
    """A repeated tensor, in an order that no rule describes, is added."""
    x = b.conv("input", 3, 6, identity=3)
    both = b.node("Concat", b.node("Concat", "input", "input", axis=1), axis=1)
    again = b.node("Concat", *[b.node("Add", x, both)] * 2, axis=1)
    ended(b, b.node("Add", b.conv("input", 3, 12, identity=3), again), 12)


def joined(b: Builder) -> None:
    """The picture, repeated, beside a shuffle in one concatenation, that is shuffled again."""
    how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    large = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), **how)
    x = b.depth_to_space(b.node("Relu", b.conv("input", 3, 12, identity=3, repeat=4)), 2)
    ended(b, b.conv(b.node("Concat", x, b.conv(x, 3, 5), large, axis=1), 11, 8, source=8, identity=3), 8)


def functions(b: Builder) -> None:
    """Functions, composed and alone, of which the convolution before is read by others too."""
    x = b.conv("input", 3, 8, identity=3)
    y = b.node("Mul", x, b.node("Tanh", b.node("Softplus", x)))
    z = b.node(
        "Mul", b.node("Add", b.conv(y, 8, 8), x), b.node("Sub", b.node("Sigmoid", b.conv(y, 8, 8)), b.const(0.5))
    )
    w = b.node("Sqrt", b.node("Abs", b.node("Sub", b.conv(z, 8, 8, identity=3), x)))
    half = b.node("Erf", b.node("Div", x, b.const(2**0.5)))
    v = b.node("Mul", b.node("Mul", x, b.node("Add", half, b.const(1.0))), b.const(0.5))
    ended(b, b.node("Max", b.node("Add", b.node("Min", w, v), b.node("Exp", b.node("Neg", w))), z))


def split(b: Builder) -> None:
    """Halves of the channels that gate each other, and some in another order."""
    x = b.conv("input", 3, 8, identity=3)
    one, two = (b.node("Gather", x, b.const(range(first, first + 4), np.int64), axis=1) for first in (0, 4))
    others = b.node("Gather", x, b.const([6, 1, 4, 4], np.int64), axis=1)
    both = b.node("Mul", b.node("Add", b.conv(two, 4, 4), others), b.node("Sigmoid", one))
    ended(b, b.node("Concat", one, both, axis=1))


def halved(b: Builder) -> None:
    """Down by strides of two and three and by pooling, up by interpolation and shuffles, with sums at each size."""
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    weights, biases = b.const(b.rng.normal(0, 0.1, (9, 8, 3, 3))), b.const(b.rng.normal(0, 0.1, 9))
    small = b.node("LeakyRelu", b.node("Conv", x, weights, biases, strides=[2, 2], pads=[1] * 4), alpha=0.1)
    tiny = b.node("MaxPool", small, kernel_shape=[3, 3], strides=[3, 3], pads=[1, 1, 1, 1])
    up = b.node("Resize", b.conv(tiny, 9, 8), "", b.const([1, 1, 6, 6]), mode="linear")
    cubic = b.node("Resize", b.conv(small, 9, 8), "", b.const([1, 1, 2, 2]), mode="cubic")
    ended(b, b.node("Add", b.node("Add", x, up), cubic))


def unshuffled(b: Builder) -> None:
    """Pixels in squares, pooled where they are."""
    x = b.node("SpaceToDepth", "input", blocksize=2)
    y = b.node("MaxPool", b.conv(x, 12, 8), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    b.depth_to_space(b.conv(b.node("Concat", x, y, axis=1), 20, 48, identity=12, repeat=4), 4, out="output")


def unpadded(b: Builder) -> None:
    """Convolutions that look at no border: the tool continues the picture, and cuts the result."""
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    for node in b.nodes:
        for attribute in node.attribute:
            if attribute.name == "pads":
                attribute.ints[:] = [0] * 4


def in_color(b: Builder) -> None:
    """A border of one color, which stays where nothing is cut but rows and columns of the result."""
    x = b.node("Pad", "input", b.const([0, 0, 1, 2, 0, 0, 3, 2], np.int64), b.const(0.4), mode="constant")
    x = b.depth_to_space(b.conv(b.node("Relu", b.conv(x, 3, 8, identity=3)), 8, 12, identity=3, repeat=4), 2)
    b.node("Pad", x, b.const([0, 0, -2, -4, 0, 0, -6, -4], np.int64), out="output")


STREAMED = [
    *[(dense, 2), (mixed, 2), (interleaved, 2), (two_steps, 4), (joined, 4), (gated, 2), (interpolated, 2)],
    *[(functions, 2), (halved, 2), (unshuffled, 2), (split, 2), (unpadded, 2), (in_color, 2)],
]


@pytest.mark.parametrize(("write", "scale"), STREAMED)
def test_all_of_it_streams(write: Callable[[Builder], None], scale: int):
    model = built(write, scale=scale)
    compiled = compile_float_model(model, HOST)
    assert_close(model, compiled.executable, sizes=[(6, 6), (12, 18), (18, 84)] if model.unit > 1 else SIZES)
    assert compiled.coverage.float_operators == ()
    assert compiled.stream is not None
    few = compile_float_model(model, replace(HOST, cache=1))
    pixels = photograph(72, 36, 3)
    assert np.array_equal(upscaler(few.executable)(pixels), upscaler(compiled.executable)(pixels))


def test_what_looks_at_the_whole_picture_is_kernels_too():
    model = built(pooled)
    compiled = compile_float_model(model, HOST)
    assert_close(model, compiled.executable)
    assert compiled.coverage.float_operators == ()
    assert compiled.stream is None


def test_what_cannot_be_lowered_is_refused():
    def wide(b: Builder) -> None:
        w = b.const(b.rng.normal(0, 0.01, (12, 3, 37, 37)))
        b.depth_to_space(b.node("Conv", "input", w, b.const(np.zeros(12)), pads=[18] * 4), 2, out="output")

    with pytest.raises(ModelError, match="pads by 18 pixels; 16 is the most"):
        compile_float_model(built(wide), HOST)
