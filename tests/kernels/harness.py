"""Run one convolution kernel, and say in plain NumPy what it must give."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tvm

from tests import arm
from toolchain.kernels import algorithms
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import PACK, SIDE, Geometry, blocks_of, pack, unpack
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.spec import Conv, DepthToSpace, Operand, Requantize, View
from toolchain.kernels.tile import BYTES, Tile, default_tile
from toolchain.reference.pairs import round_safely
from toolchain.targets import Target
from toolchain.targets.linker import is_native
from toolchain.targets.llvm import tvm_target
from toolchain.tune.kernel import ENTRY, standalone


@dataclass(frozen=True)
class Case:
    """A convolution of random codes and weights; ``height`` x ``width`` pixels, ``inputs`` to ``outputs`` channels.

    ``residual``: (channels, divide, modulo) of the added tensor. ``around``: blocks of the buffers before the parts
    that are read and written. ``fill``: (code, weight) everywhere instead of random numbers. ``wide``:
    what has codes of 16 bits, of "in", "out" and "residual".
    """

    inputs: int
    outputs: int
    kernel: int = 3
    groups: int = 1
    dilation: int = 1
    pads: tuple[int, int] | None = None
    height: int = 5
    width: int = 13
    slopes: bool = False
    inner: tuple[float, float] | None = None
    residual: tuple[int, int, int] | None = None
    pixels: DepthToSpace | None = None
    around: tuple[int, int] = (0, 0)
    zero_in: int = 7
    zero_out: int = 5
    low: int | None = None
    fill: tuple[int, int] | None = None
    fits: bool = True
    tile: Tile | None = None
    columns: int | None = None
    seed: int = 0
    wide: tuple[str, ...] = ()

    def most(self, what: str) -> int:
        """The largest code of "in", "out" or "residual"."""
        return 65535 if what in self.wide else 255

    def random(self, rng: np.random.Generator, what: str, channels: int) -> np.ndarray:
        """Random codes."""
        kind = np.uint16 if what in self.wide else np.uint8
        return rng.integers(0, self.most(what) + 1, (channels, self.height, self.width), dtype=kind)


@dataclass(frozen=True, eq=False)
class Data:
    """What a kernel is given: codes (C, h, w), weights (O, I / groups, k, k), the residual's codes."""

    codes: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    slopes: np.ndarray
    residual: np.ndarray | None


def make_data(case: Case) -> Data:
    """Random data for ``case``; the padding channels of inputs and outputs have zero weights."""
    rng = np.random.default_rng(case.seed)
    inputs, outputs = blocks_of(case.inputs) * PACK, blocks_of(case.outputs) * PACK
    codes = case.random(rng, "in", case.inputs)
    weights = np.zeros((outputs, inputs // case.groups, case.kernel, case.kernel), np.int8)
    drawn = rng.integers(-127, 128, (case.outputs, case.inputs // case.groups, case.kernel, case.kernel))
    if case.tile and case.tile.algorithm == BYTES:
        drawn = round_safely(drawn.astype(np.float64)).astype(np.int64)
    taps = case.inputs // case.groups * case.kernel**2
    multiplier = rng.uniform(0.5, 1.5, outputs) * 60 / (75 * 90 * np.sqrt(taps))
    bias = rng.integers(-3000, 3000, outputs)
    multiplier *= case.most("out") / case.most("in")
    bias *= case.most("in") // 255
    if case.fill is not None:
        codes[:], drawn[:], bias[:] = case.fill[0], case.fill[1], 0
        multiplier[:] = rng.uniform(20, 240, outputs) / (taps * 255 * 127) / (case.most("in") // 255)
    weights[: case.outputs, : drawn.shape[1]] = drawn
    residual = None
    if case.residual is not None:
        residual = case.random(rng, "residual", case.residual[0])
    return Data(
        codes,
        weights,
        bias.astype(np.int32),
        multiplier.astype(np.float32),
        rng.uniform(-0.3, 0.6, outputs).astype(np.float32),
        residual,
    )


RESIDUAL_ZERO = 9


def residual_factor(case: Case) -> float:
    return 0.37 * case.most("out") / case.most("residual")


def spec(case: Case) -> Conv:
    reach = (case.kernel - 1) * case.dilation
    residual = None
    if case.residual is not None:
        channels, divide, modulo = case.residual
        count = blocks_of(channels)
        view = View.whole(count, wide="residual" in case.wide)
        residual = Operand(view, divide, modulo, RESIDUAL_ZERO, residual_factor(case))
    low = -case.zero_out if case.low is None else case.low
    requantize = Requantize(
        low, case.most("out") - case.zero_out, case.zero_out, case.slopes, case.inner, residual, case.fits
    )
    counts = blocks_of(case.inputs), blocks_of(case.outputs)
    views = [
        replace(View.whole(count + 2 * start, wide=what in case.wide), start=start, count=count)
        for what, count, start in zip(("in", "out"), counts, case.around, strict=True)
    ]
    return Conv(
        views[0],
        views[1].count * PACK,
        case.groups,
        (case.kernel,) * 2,
        case.pads or (reach // 2,) * 2,
        (case.dilation,) * 2,
        requantize,
        views[1],
        case.pixels,
        symmetric=case.fill is None or case.fill[1] > -128,
        algorithms=(case.tile.algorithm,) if case.tile and case.tile.algorithm != "direct" else (),
    )


def expected(case: Case, data: Data) -> np.ndarray:
    """Codes (outputs padded to words, h, w), by the definition: no layout, no tiles, one tap after the other."""
    conv = spec(case)
    reach = (case.kernel - 1) * case.dilation
    centred = np.zeros((blocks_of(case.inputs) * PACK, case.height, case.width), np.int64)
    centred[: case.inputs] = data.codes.astype(np.int64) - case.zero_in
    top, left = conv.pads
    padded = np.pad(centred, ((0, 0), (top, reach - top), (left, reach - left)))
    sums = np.zeros((conv.channels, case.height, case.width), np.int64) + data.bias[:, None, None]
    group_in, group_out = data.weights.shape[1], conv.channels // case.groups
    for group in range(case.groups):
        rows = slice(group * group_out, (group + 1) * group_out)
        source = slice(group * group_in, (group + 1) * group_in)
        for i in range(case.kernel):
            for j in range(case.kernel):
                y, x = i * case.dilation, j * case.dilation
                window = padded[source, y : y + case.height, x : x + case.width]
                sums[rows] += np.einsum("oc,chw->ohw", data.weights[rows, :, i, j].astype(np.int64), window)
    assert np.abs(sums).max() < 2**31
    values = sums.astype(np.int32).astype(np.float32) * data.multiplier[:, None, None]
    if case.slopes:
        values = np.where(values < 0, values * data.slopes[:, None, None], values)
    if case.inner is not None:
        values = np.minimum(np.maximum(values, np.float32(case.inner[0])), np.float32(case.inner[1]))
    if data.residual is not None and case.residual is not None:
        channel = np.arange(conv.channels) // case.residual[1] % case.residual[2]
        codes = np.pad(data.residual, ((0, -len(data.residual) % PACK), (0, 0), (0, 0)), constant_values=RESIDUAL_ZERO)
        codes = codes[channel]
        factor = np.float32(residual_factor(case))
        values = values + (codes.astype(np.int32) - RESIDUAL_ZERO).astype(np.float32) * factor
    clamped = np.minimum(np.maximum(values, np.float32(conv.requantize.low)), np.float32(conv.requantize.high))
    return (np.rint(clamped) + case.zero_out).astype(np.uint16 if "out" in case.wide else np.uint8)


def geometry(case: Case, target: Target) -> Geometry:
    conv, dot = spec(case), dot_product(target.instruction_set)
    reach = (case.kernel - 1) * case.dilation
    margin = max(1, *conv.pads, reach - conv.pads[0], reach - conv.pads[1])
    return Geometry(margin, case.columns or dot.columns, dot.offset)


def compiled(case: Case, target: Target) -> Any:
    """The kernel alone, scheduled by the case's tile or the default one."""
    return _compiled(spec(case), geometry(case, target), target, tile_of(case, target))


def tile_of(case: Case, target: Target) -> Tile:
    """The case's tile or the default one."""
    return case.tile or default_tile(spec(case), geometry(case, target).columns, dot_product(target.instruction_set))


def parameters(case: Case, data: Data) -> Parameters:
    return Parameters(data.weights, data.bias, case.zero_in, data.multiplier, data.slopes if case.slopes else None)


@functools.cache
def _compiled(conv: Conv, shape: Geometry, target: Target, tile: Tile) -> Any:
    module = standalone(conv, shape, dot_product(target.instruction_set), tile)
    return tvm.compile(module, target=tvm_target(target))


def run(case: Case, data: Data, target: Target) -> np.ndarray:
    """What the compiled kernel writes: packed words, or the picture. Words it must not touch hold 0xDEADBEEF."""
    conv, dot, shape = spec(case), dot_product(target.instruction_set), geometry(case, target)
    tiles = shape.tiles(case.width)
    words = np.full(shape.shape(conv.source.total, case.height, tiles), 0xDEADBEEF, np.uint32)
    words[:, blocks(conv.source)] = pack(data.codes, shape, case.zero_in)
    arrays = [words] + ([] if data.residual is None else [pack(data.residual, shape, RESIDUAL_ZERO)])
    arrays += algorithms.arrays(parameters(case, data), conv, dot, tile_of(case, target))
    if conv.pixels is None:
        result = np.full(shape.shape(conv.target.total, case.height, tiles), 0xDEADBEEF, np.uint32)
    else:
        scale = conv.pixels.scale
        result = np.full((case.height * scale, case.width * scale, conv.pixels.channels), 77, np.uint8)
    kernel = compiled(case, target)
    if not is_native(target.triple):
        return arm.call(kernel, target, [*arrays, case.height, tiles, case.width, result], name=ENTRY)
    output = tvm.runtime.tensor(result)
    kernel[ENTRY](*map(tvm.runtime.tensor, arrays), case.height, tiles, case.width, output)
    return output.numpy()


def check(case: Case, target: Target) -> np.ndarray:
    """Assert that the kernel equals `expected`, what lies outside the picture included; returns the expected codes."""
    return check_data(case, make_data(case), target)


def check_data(case: Case, data: Data, target: Target) -> np.ndarray:
    """`check` of other data than the case's own."""
    conv, shape = spec(case), geometry(case, target)
    got, wanted = run(case, data, target), expected(case, data)
    if conv.pixels is not None:
        np.testing.assert_array_equal(got, shuffled(wanted, conv.pixels))
        return wanted
    own = blocks(conv.target)
    inside = unpack(got[:, own], shape, conv.channels, case.height, case.width, wide=conv.target.wide)
    np.testing.assert_array_equal(inside, wanted)
    # All that a neighbour may read: `margin` rows and columns, and the columns up to the last whole tile.
    used = slice(SIDE - shape.margin, got.shape[2] - SIDE + shape.margin)
    np.testing.assert_array_equal(got[:, own][..., used], pack(wanted, shape, case.zero_out)[..., used])
    assert (np.delete(got, own, axis=1) == 0xDEADBEEF).all()
    return wanted


def blocks(view: View) -> list[int]:
    """The blocks of a buffer that hold the bytes of ``view``."""
    return [first + block for first, _ in view.planes(0) for block in range(view.count)]


def shuffled(codes: np.ndarray, pixels: DepthToSpace) -> np.ndarray:
    """Depth-to-space of codes (C, h, w), by the table."""
    scale, channels = pixels.scale, pixels.channels
    _, height, width = codes.shape
    picture = np.zeros((height * scale, width * scale, channels), np.uint8)
    for index, slot in enumerate(pixels.table):
        dy, dx, channel = index // (scale * channels), index // channels % scale, index % channels
        picture[dy::scale, dx::scale, channel] = codes[slot]
    return picture
