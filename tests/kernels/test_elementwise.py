"""The kernels that are no convolutions: sums, changes of scale, and the ends of the packed world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernels.harness import blocks, shuffled
from toolchain.kernels import boundary, elementwise
from toolchain.kernels.bands import Read, Step
from toolchain.kernels.driver import whole
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import PACK, SIDE, Geometry, blocks_of, pack, unpack
from toolchain.kernels.network import Call, Picture, Tensor
from toolchain.kernels.spec import DepthToSpace, Elementwise, Operand, Requantize, View
from toolchain.reference.arithmetic import finish, scaled
from toolchain.reference.quantization import Quantization
from toolchain.targets import find_target
from toolchain.targets.llvm import tvm_target

UNTOUCHED = 0xDEADBEEF
GEOMETRY = Geometry(2, 16)
DOT = dot_product(find_target("host").instruction_set)
HEIGHT, WIDTH = 3, 21


def call(
    function: tvm.tirx.PrimFunc,
    arrays: list[np.ndarray],
    result: np.ndarray,
    width: int = WIDTH,
    **others: tvm.tirx.PrimFunc,
) -> np.ndarray:
    functions = {"main": function, **others}
    module = tvm.IRModule({name: found.with_attr("global_symbol", name) for name, found in functions.items()})
    output = tvm.runtime.tensor(result)
    arguments = [*map(tvm.runtime.tensor, arrays), HEIGHT, GEOMETRY.tiles(width), width]
    tvm.compile(module, target=tvm_target(find_target("host")))["main"](*arguments, output)
    return output.numpy()


def on_rows(
    kernel: tvm.tirx.PrimFunc,
    operands: list[Tensor | Picture],
    result: Tensor | Picture,
    view: View | None,
    arrays: list[np.ndarray],
    output: np.ndarray,
    width: int = WIDTH,
) -> np.ndarray:
    """Run a kernel that works on windows of rows as a network would; arrays behind the operands are its constants."""
    constants = tuple((array.shape, str(array.dtype)) for array in arrays[len(operands) :])
    step = Step(tuple(Read(index) for index in range(len(operands))), None if view is None else len(operands))
    driver = whole(Call("kernel", step, constants, view), operands, result, GEOMETRY)
    return call(driver, arrays, output, width, kernel=kernel)


def words(view: View, width: int = WIDTH) -> np.ndarray:
    return np.full(GEOMETRY.shape(view.total, HEIGHT, GEOMETRY.tiles(width)), UNTOUCHED, np.uint32)


def placed(codes: np.ndarray, view: View, zero: int) -> np.ndarray:
    """``codes`` (C, h, w) in the blocks of ``view`` of a buffer that holds other things elsewhere."""
    whole = words(view, codes.shape[2])
    whole[:, blocks(view)] = pack(codes, GEOMETRY, zero)
    return whole


def assert_written(got: np.ndarray, view: View, codes: np.ndarray, zero: int) -> None:
    """``view`` holds ``codes`` and the zero point around them, as far as neighbours may read; nothing else changed."""
    used = slice(SIDE - GEOMETRY.margin, got.shape[2] - SIDE + GEOMETRY.margin)
    part = got[:, blocks(view)]
    channels, height, width = codes.shape
    everything = unpack(part, GEOMETRY, view.count * PACK, height, width, wide=view.wide)
    np.testing.assert_array_equal(everything[:channels], codes)
    padded = np.concatenate([codes, everything[channels:]])
    np.testing.assert_array_equal(part[..., used], pack(padded, GEOMETRY, zero)[..., used])
    assert (np.delete(got, blocks(view), axis=1) == UNTOUCHED).all()


def random_codes(channels: int, seed: int = 0, width: int = WIDTH, *, wide: bool = False) -> np.ndarray:
    kind, most = (np.uint16, 65536) if wide else (np.uint8, 256)
    return np.random.default_rng(seed).integers(0, most, (channels, HEIGHT, width), dtype=kind)


@pytest.mark.parametrize(("divide", "modulo", "channels"), [(1, 8, 8), (1, 3, 3), (2, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("slopes", [False, True])
def test_add(divide: int, modulo: int, channels: int, slopes: bool):
    a, b = random_codes(6, 1), random_codes(channels, 2)
    first = Operand(View(3, 1, 2), 1, 8, 9, 0.7)
    second = Operand(View(blocks_of(channels), 0, blocks_of(channels)), divide, modulo, 3, 0.6)
    target = View(5, 2, 2)
    bend = np.linspace(-0.5, 0.9, 8, dtype=np.float32)
    kernel = elementwise.build(Elementwise((first, second), Requantize(-40, 215, 40, slopes), target), GEOMETRY, DOT)
    arrays = [placed(a, first.view, 9), placed(b, second.view, 3), *([bend] if slopes else [])]
    got = on_rows(kernel, [Tensor(3, 9), Tensor(second.view.total, 3)], Tensor(5, 40), target, arrays, words(target))
    part = b[np.arange(6) // divide % modulo] if channels < 8 else b[:6]
    total = scaled(a, 9, np.float32(0.7)) + scaled(part, 3, np.float32(0.6))
    if slopes:
        total = np.where(total < 0, total * bend[:6, None, None], total)
    assert_written(got, target, finish(total, None, Quantization(1.0, 40)), 40)


def test_rescale_with_bounds():
    codes, operand = random_codes(4), Operand(View(1, 0, 1), 1, 4, 100, 1.37)
    kernel = elementwise.build(Elementwise((operand,), Requantize(0, 90, 60), View(1, 0, 1)), GEOMETRY, DOT)
    got = on_rows(
        kernel, [Tensor(1, 100)], Tensor(1, 60), operand.view, [placed(codes, operand.view, 100)], words(operand.view)
    )
    wanted = (np.rint(np.clip(scaled(codes, 100, np.float32(1.37)), 0, 90)) + 60).astype(np.uint8)
    assert_written(got, operand.view, wanted, 60)


def test_reorder_by_a_table():
    slots = (0, 1, 2, 4, 5, 6, 7, 8, 4)
    codes = random_codes(9, 3)
    operand = Operand(View(4, 1, 3), 1, 1, 7, 1.0, slots)
    kernel = elementwise.build(Elementwise((operand,), Requantize(-7, 248, 7), View(3, 0, 3)), GEOMETRY, DOT)
    got = on_rows(
        kernel, [Tensor(4, 7)], Tensor(3, 7), View(3, 0, 3), [placed(codes, operand.view, 7)], words(View(3, 0, 3))
    )
    assert_written(got, View(3, 0, 3), codes[list(slots)], 7)


@given(st.integers(0, 255), st.integers(0, 255), st.floats(0.015625, 48, width=32), st.integers(0, 9))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_rescale_any(zero_in: int, zero_out: int, factor: float, seed: int):
    codes, operand = random_codes(4, seed), Operand(View(1, 0, 1), 1, 4, zero_in, factor)
    requantize = Requantize(-zero_out, 255 - zero_out, zero_out)
    kernel = elementwise.build(Elementwise((operand,), requantize, View(1, 0, 1)), GEOMETRY, DOT)
    got = on_rows(
        kernel,
        [Tensor(1, zero_in)],
        Tensor(1, zero_out),
        operand.view,
        [placed(codes, operand.view, zero_in)],
        words(operand.view),
    )
    wanted = finish(scaled(codes, zero_in, np.float32(factor)), None, Quantization(1.0, zero_out))
    assert_written(got, operand.view, wanted, zero_out)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("slopes", [False, True])
def test_sums_of_8_and_16_bits(given: bool, wanted: bool, slopes: bool):
    codes, other = random_codes(6, 1, wide=given), random_codes(6, 2)
    zeros = 30001 if given else 9, 40000 if wanted else 40
    out = Quantization(1.0, zeros[1], 16 if wanted else 8)
    first = Operand(View(7, 1, 2, given), 1, 8, zeros[0], 0.7 * (1 + 256 * wanted) / (1 + 256 * given))
    second = Operand(View(2, 0, 2), 1, 8, 3, 0.6 * (1 + 256 * wanted))
    target = View(8, 2, 2, wanted)
    requantize = Requantize(-zeros[1], out.qmax - zeros[1], zeros[1], slopes)
    bend = np.linspace(-0.5, 0.9, 8, dtype=np.float32)
    kernel = elementwise.build(Elementwise((first, second), requantize, target), GEOMETRY, DOT)
    arrays = [placed(codes, first.view, zeros[0]), placed(other, second.view, 3), *([bend] if slopes else [])]
    got = on_rows(
        kernel,
        [Tensor(7, zeros[0], wide=given), Tensor(2, 3)],
        Tensor(8, zeros[1], wide=wanted),
        target,
        arrays,
        words(target),
    )
    total = scaled(codes, zeros[0], np.float32(first.multiplier)) + scaled(other, 3, np.float32(second.multiplier))
    if slopes:
        total = np.where(total < 0, total * bend[:6, None, None], total)
    assert_written(got, target, finish(total, None, out), zeros[1])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("width", [1, 16, 21])
def test_pack_pixels(channels: int, width: int):
    codes, target = random_codes(channels, 1, width), View(3, 1, 1)
    pixels = np.ascontiguousarray(codes.transpose(1, 2, 0))
    got = on_rows(
        boundary.pack_pixels(channels, target, GEOMETRY),
        [Picture(channels)],
        Tensor(3, 0),
        target,
        [pixels],
        words(target, width),
        width,
    )
    assert_written(got, target, codes, 0)


@pytest.mark.parametrize(("channels", "zero", "bits"), [(3, 0, 8), (6, 131, 8), (6, 3333, 16)])
def test_quantize(channels: int, zero: int, bits: int):
    quantization = Quantization(float(np.float32(0.013 if bits == 8 else 0.0001)), zero, bits)
    rng = np.random.default_rng(2)
    real = rng.uniform(-3, 3, (1, channels, HEIGHT, WIDTH)).astype(np.float32)
    real[0, 0, 0, :4] = 1e30, -1e30, 0.0, np.float32(0.013) * np.float32(2.5)
    target = View((blocks_of(channels) + 1) * bits // 8, 1, blocks_of(channels), bits == 16)
    requantize = Requantize(-zero, quantization.qmax - zero, zero)
    kernel = boundary.quantize(channels, target, GEOMETRY, requantize, quantization.scale)
    assert_written(call(kernel, [real], words(target)), target, quantization.quantize(real)[0], zero)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("channels", [3, 8])
def test_unpack(channels: int, wide: bool):
    quantization = Quantization(float(np.float32(0.013)), 77, 16 if wide else 8)
    source = View((blocks_of(channels) + 2) * (1 + wide), 1, blocks_of(channels), wide)
    codes = random_codes(channels, 5, wide=wide)
    kernel = boundary.unpack(channels, source, GEOMETRY, quantization.scale, 77)
    got = call(kernel, [placed(codes, source, 77)], np.zeros((1, channels, HEIGHT, WIDTH), np.float32))
    np.testing.assert_array_equal(got[0], quantization.dequantize(codes))


@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 1), (3, 3), (4, 3)])
def test_store_pixels(scale: int, channels: int):
    count = scale * scale * channels
    pixels = DepthToSpace(scale, channels, tuple(np.random.default_rng(1).permutation(count).tolist()))
    codes, source = random_codes(count, 6), View(blocks_of(count) + 1, 1, blocks_of(count))
    empty: Any = np.zeros((HEIGHT * scale, WIDTH * scale, channels), np.uint8)
    got = on_rows(
        boundary.store_pixels(source, GEOMETRY, pixels),
        [Tensor(source.total, 0)],
        Picture(channels, scale),
        None,
        [placed(codes, source, 0)],
        empty,
    )
    np.testing.assert_array_equal(got, shuffled(codes, pixels))
