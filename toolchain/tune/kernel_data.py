"""Data to run one kernel on, and what the integer reference says it must give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.kernels import algorithms
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, SIDE, Geometry, pack
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.phases import reach
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.reference.arithmetic import scaled
from toolchain.reference.convolution import Convolution
from toolchain.reference.pairs import round_safely

Codes = npt.NDArray[np.uint8]
_ZERO, _RESIDUAL_ZERO = 7, 9
_UNTOUCHED = 0xDEADBEEF


@dataclass(frozen=True, eq=False)
class KernelData:
    """Random data for a kernel.

    Attributes:
        conv, geometry: the kernel's.
        codes: input, uint8 (channels, h, w), those of all phases.
        zero_point: of the input.
        weights: int8 (channels out, channels in / groups, kh, kw).
        bias: int32; multiplier, slopes: float32; one for each output channel.
        residual: uint8 (channels, h, w), its zero point `Operand.zero_point`; None where nothing is added.
    """

    conv: Conv
    geometry: Geometry
    codes: Codes
    zero_point: int
    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.float32]
    slopes: npt.NDArray[np.float32]
    residual: Codes | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.codes.shape[1], self.codes.shape[2]

    @property
    def tensors(self) -> list[npt.NDArray[np.generic]]:
        """The packed tensors that a kernel reads, in the order of its arguments."""
        source, residual = self.conv.source, self.conv.requantize.residual
        arrays: list[npt.NDArray[np.generic]] = [self._packed(self.codes, source.total, source.start, self.zero_point)]
        if residual is not None and self.residual is not None:
            arrays.append(self._packed(self.residual, residual.view.total, residual.view.start, residual.zero_point))
        return arrays

    def constants(self, dot: Dot, tile: Tile) -> list[npt.NDArray[Any]]:
        """Return the arrays that a kernel made by ``tile`` takes then, in order."""
        slopes = self.slopes if self.conv.requantize.slopes else None
        parameters = Parameters(self.weights, self.bias, self.zero_point, self.multiplier, slopes)
        return list(algorithms.arrays(parameters, self.conv, dot, tile))

    def output(self) -> npt.NDArray[np.generic]:
        """Return an array for the result, filled with what no kernel would write."""
        height, width = self.size
        pixels = self.conv.pixels
        if pixels is not None:
            return np.full((height * pixels.scale, width * pixels.scale, pixels.channels), 77, np.uint8)
        tiles = self.geometry.tiles(width)
        return np.full(self.geometry.shape(self.conv.target.total, height, tiles), _UNTOUCHED, np.uint32)

    def expected(self) -> npt.NDArray[np.generic]:
        """Return what `output` must hold after the kernel has run, by the integer reference; see `used` for
        which part.
        """
        codes = self._requantized()
        conv, pixels = self.conv, self.conv.pixels
        result = self.output()
        if pixels is None:
            start = conv.target.start
            result[:, start : start + conv.target.count] = pack(codes, self.geometry, conv.requantize.zero_point)
        else:
            for dy, dx, channel, slot in pixels.places():
                result[dy :: pixels.scale, dx :: pixels.scale, channel] = codes[slot]
        return result

    def used(self, output: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the part of an output that somebody reads: all but the words beside the margin."""
        if self.conv.pixels is not None:
            return output
        return output[..., SIDE - self.geometry.margin : output.shape[2] - SIDE + self.geometry.margin]

    def _requantized(self) -> Codes:
        """Return the output's codes (channels, h, w)."""
        conv, given = self.conv, self.conv.requantize
        top, left = conv.pads
        bottom, right = (
            max(far - near, 0) for far, near in zip(reach(conv.kernel, conv.dilation), conv.pads, strict=True)
        )
        convolution = Convolution(
            self.weights,
            self.bias,
            strides=conv.stride,
            pads=(top, left, bottom, right),
            dilations=conv.dilation,
            group=conv.groups,
        )
        sums = np.concatenate([band for _, band in convolution.bands(self._plain(), self.zero_point)], axis=1)
        values = sums.astype(np.float32) * self.multiplier[:, None, None]
        if given.slopes:
            values = np.where(values < 0, values * self.slopes[:, None, None], values)
        if given.inner is not None:
            values = np.minimum(np.maximum(values, np.float32(given.inner[0])), np.float32(given.inner[1]))
        if given.residual is not None and self.residual is not None:
            other = self.residual[np.arange(conv.channels) // given.residual.divide % given.residual.modulo]
            factor = np.asarray(given.residual.multiplier, np.float32)
            values = values + scaled(other, given.residual.zero_point, factor)
        bounded = np.minimum(np.maximum(values, np.float32(given.low)), np.float32(given.high))
        codes: Codes = (np.rint(bounded) + np.float32(given.zero_point)).astype(np.uint8)
        return codes

    def _plain(self) -> Codes:
        """Return the input as it is before it is laid into phases."""
        (down, across), (channels, height, width) = self.conv.stride, self.codes.shape
        split = self.codes.reshape(-1, down, across, PACK, height, width).transpose(0, 3, 4, 1, 5, 2)
        return np.ascontiguousarray(split).reshape(channels // self.conv.phases, height * down, width * across)

    def _packed(self, codes: Codes, total: int, start: int, zero_point: int) -> npt.NDArray[np.uint32]:
        words = np.full(
            self.geometry.shape(total, codes.shape[1], self.geometry.tiles(codes.shape[2])), _UNTOUCHED, np.uint32
        )
        words[:, start : start + codes.shape[0] // PACK] = pack(codes, self.geometry, zero_point)
        return words


def make_sample(
    conv: Conv, geometry: Geometry, height: int, width: int, seed: int = 0, picture: int = 0, anchor: int = 0
) -> KernelData:
    """Return random data for ``conv`` on ``height`` x ``width`` pixels, such that its codes spread over the whole
    range. A ``picture`` or an ``anchor`` of so many channels is a source or a residual without any others, and with
    black around the source.
    """
    rng = np.random.default_rng(seed)
    inputs, taps = conv.source.count * PACK, conv.inputs * PACK * conv.kernel[0] * conv.kernel[1]
    residual = conv.requantize.residual
    other = None
    if residual is not None:
        other = rng.integers(0, 256, (residual.view.count * PACK, height, width), dtype=np.uint8)
        other[anchor or other.shape[0] :] = 0
    codes = rng.integers(0, 256, (inputs, height, width), dtype=np.uint8)
    weights = rng.integers(-127, 128, (conv.channels, conv.inputs * PACK, *conv.kernel))
    codes[picture or inputs :] = 0
    return KernelData(
        conv,
        geometry,
        codes=codes,
        zero_point=0 if picture else _ZERO,
        weights=round_safely(weights.astype(np.float64)),  # any algorithm may be tried
        bias=rng.integers(-3000, 3000, conv.channels, dtype=np.int32),
        # Codes spread by about 75, weights by about 73: sums by their product times the root of the number of taps.
        multiplier=(rng.uniform(0.5, 1.5, conv.channels) * 60 / (75 * 73 * np.sqrt(taps))).astype(np.float32),
        slopes=rng.uniform(-0.3, 0.6, conv.channels).astype(np.float32),
        residual=other,
    )
