"""Run one float kernel on whole tensors, and say in plain NumPy, in double precision, what it must give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm

from tests import arm
from toolchain.kernels import float_algorithms
from toolchain.kernels.bands import Read, Step
from toolchain.kernels.driver import whole
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.float_tile import WINOGRAD, FloatTile, choose_tile
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.network import Call, Picture, Tensor
from toolchain.kernels.spec import Add, Addend, Bounds, DepthToSpace, Slopes, Stage, View
from toolchain.kernels.vectors import Vectors
from toolchain.targets import Target
from toolchain.targets.linker import is_native
from toolchain.targets.llvm import tvm_target

FOREIGN = 1234.0
"""What lies in channels that a kernel must not touch."""


def pack(values: np.ndarray, view: View, geometry: Geometry, dtype: str, around: float = FOREIGN) -> np.ndarray:
    """(C, h, w) as channels ``view`` of a packed tensor, zeros around the picture; other channels hold ``around``."""
    _, height, width = values.shape
    margin = geometry.margin
    packed = np.full(geometry.shape(view.total, height, geometry.tiles(width)), around, dtype)
    packed[:, view.start : view.start + view.count] = 0
    packed[margin : margin + height, view.start : view.start + view.count, SIDE : SIDE + width] = values.transpose(
        1, 0, 2
    )
    return packed


def run(
    kernel: Any,
    target: Target,
    geometry: Geometry,
    vectors: Vectors,
    operands: Sequence[tuple[np.ndarray, Read]],
    constants: Sequence[np.ndarray],
    view: View | DepthToSpace,
    height: int,
    width: int,
) -> np.ndarray:
    """What ``kernel`` writes: a whole packed tensor, or the picture. ``operands``: packed tensors."""
    picture = Picture(view.channels, view.scale) if isinstance(view, DepthToSpace) else None
    call = Call(
        "rows",
        Step(tuple(read for _, read in operands), None if picture else len(operands)),
        tuple((a.shape, str(a.dtype)) for a in constants),
        None if picture else view,
    )  # type: ignore[arg-type]
    tensors = [Tensor(array.shape[1], 0, vectors.dtype) for array, _ in operands]
    result = picture or Tensor(view.total, 0, vectors.dtype)  # type: ignore[union-attr]
    module = tvm.IRModule(
        {
            "rows": kernel.with_attr("global_symbol", "rows"),
            "main": whole(call, tensors, result, geometry).with_attr("global_symbol", "main"),
        }
    )
    tiles = geometry.tiles(width)
    if picture:
        found = np.full((height * picture.scale, width * picture.scale, picture.channels), 77, np.uint8)
    else:
        found = np.full(geometry.shape(view.total, height, tiles), FOREIGN, vectors.dtype)  # type: ignore[union-attr]
    compiled = tvm.compile(module, target=tvm_target(target))
    arrays = [*(array for array, _ in operands), *constants]
    if not is_native(target.triple):
        return arm.call(compiled, target, [*arrays, height, tiles, width, found], name="main")
    output = tvm.runtime.tensor(found)
    compiled["main"](*map(tvm.runtime.tensor, arrays), height, tiles, width, output)
    return output.numpy()


def convolved(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, conv: FloatConv) -> np.ndarray:
    """By the definition, in float64: x (I, h, w), weights (O, I / groups, kh, kw) to (O, h, w)."""
    (_, height, width), (kh, kw), dilation = x.shape, conv.kernel, conv.dilation
    reach = [(k - 1) * d for k, d in zip(conv.kernel, dilation, strict=True)]
    around = [(pad, total - pad) for pad, total in zip(conv.pads, reach, strict=True)]
    padded = np.pad(x.astype(np.float64), ((0, 0), *around))
    result = np.zeros((weights.shape[0], height, width)) + bias[:, None, None]
    for group in range(conv.groups):
        rows = slice(group * len(weights) // conv.groups, (group + 1) * len(weights) // conv.groups)
        source = padded[group * len(x) // conv.groups : (group + 1) * len(x) // conv.groups]
        for i in range(kh):
            for j in range(kw):
                window = source[:, i * dilation[0] :, j * dilation[1] :][:, :height, :width]
                result[rows] += np.einsum("oc,chw->ohw", weights[rows, :, i, j].astype(np.float64), window)
    return result


def followed(values: np.ndarray, stage: Stage, slopes: np.ndarray, added: np.ndarray | None) -> np.ndarray:
    match stage:
        case Slopes():
            return np.where(values < 0, values * slopes[:, None, None], values)
        case Bounds(low, high):
            return np.clip(values, low, high)
        case Add(operand):
            assert added is not None
            return values + added[_channels(operand, len(values))]


def check_conv(
    conv: FloatConv, target: Target, vectors: Vectors, height: int, width: int, tile: FloatTile | None = None
) -> None:
    """Assert that the kernel of ``conv`` is within a bound of rounding of the definition, and zero outside."""
    rng = np.random.default_rng(1)
    reach = [(k - 1) * d for k, d in zip(conv.kernel, conv.dilation, strict=True)]
    geometry = Geometry(max(1, *conv.pads, reach[0] - conv.pads[0], reach[1] - conv.pads[1]), vectors.columns)
    dtype = vectors.dtype
    x = rng.uniform(-1, 1, (conv.source.count, height, width)).astype(dtype)
    weights = rng.normal(0, 1, (conv.channels, conv.source.count // conv.groups, *conv.kernel)).astype(dtype)
    weights *= np.asarray(0.5 / np.sqrt(weights[0].size), dtype)
    bias = rng.normal(0, 0.2, conv.channels).astype(dtype)
    slopes = [rng.uniform(-0.3, 0.6, conv.channels).astype(dtype) for _ in range(conv.stages.count(Slopes()))]
    operands = [(pack(x, conv.source, geometry, dtype), Read(0, conv.pads[0], reach[0] - conv.pads[0]))]
    wanted, added, bends = convolved(x, weights, bias, conv), None, iter(slopes)
    for other in conv.others:  # one at most
        added = rng.uniform(-1, 1, (other.view.count, height, width)).astype(dtype)
        operands.append((pack(added, other.view, geometry, dtype), Read(1)))
    for stage in conv.stages:
        wanted = followed(wanted, stage, next(bends) if isinstance(stage, Slopes) else bias, added)
    tile = tile or choose_tile(conv, vectors)
    kernel = float_algorithms.build(conv, geometry, vectors, tile)
    laid = float_algorithms.weights(np.ascontiguousarray(weights.transpose(1, 2, 3, 0)), conv.groups, tile)
    constants = [laid, bias, *slopes]
    found = run(kernel, target, geometry, vectors, operands, constants, conv.pixels or conv.target, height, width)
    # Every product and every sum rounds once.
    bound = np.finfo(dtype).eps * (weights[0].size + 8)
    if tile.algorithm == WINOGRAD:  # whose transforms' coefficients enlarge that
        bound *= 6
    if conv.pixels is not None:
        codes = np.clip(drawn(wanted, conv.pixels) * conv.gain, 0, 255)
        assert np.abs(found - codes).max() <= 0.5 + 255 * bound
        assert len(np.unique(found)) > min(15, found.size // 8), "this case says nothing: its pixels are all alike"
        return
    expected = pack(wanted, conv.target, geometry, "float64")
    used = slice(SIDE - geometry.margin, found.shape[2] - SIDE + geometry.margin)
    assert np.abs(found[..., used] - expected[..., used]).max() <= bound
    outside = pack(np.ones_like(wanted), conv.target, geometry, "float64")[..., used] == 0
    assert not found[..., used][outside].any()


def drawn(values: np.ndarray, pixels: DepthToSpace) -> np.ndarray:
    """Depth-to-space of (C, h, w), by the table."""
    _, height, width = values.shape
    picture = np.zeros((height * pixels.scale, width * pixels.scale, pixels.channels))
    for dy, dx, channel, slot in pixels.places():
        picture[dy :: pixels.scale, dx :: pixels.scale, channel] = values[slot]
    return picture


def _channels(operand: Addend, channels: int) -> np.ndarray:
    return np.arange(channels) // operand.divide % operand.modulo
