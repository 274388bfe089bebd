"""Integer convolutions against loops over every tap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from toolchain.reference import convolution as convolve
from toolchain.reference.compiled import compiled
from toolchain.reference.convolution import Convolution
from toolchain.support.errors import ModelError, TooSmallError


def slow(convolution: Convolution, codes: NDArray[np.uint8], zero: int) -> NDArray[np.int64]:
    """Every product, one by one, scattered (transposed) or gathered."""
    c = convolution
    height, width = c.output_size(*codes.shape[1:])
    out = np.zeros((c.outputs, height, width), np.int64) + c.bias[:, None, None]
    weight = c.grouped().astype(int)
    group, outs, ins, kh, kw = weight.shape
    for index in np.ndindex(group, outs, ins, kh, kw):
        g, o, i, ky, kx = index
        for y in range(height):
            for x in range(width):
                sy, sx = y + c.pads[0] - ky * c.dilations[0], x + c.pads[1] - kx * c.dilations[1]
                if c.transposed:
                    if sy % c.strides[0] or sx % c.strides[1]:
                        continue
                    sy, sx = sy // c.strides[0], sx // c.strides[1]
                else:
                    sy = y * c.strides[0] - c.pads[0] + ky * c.dilations[0]
                    sx = x * c.strides[1] - c.pads[1] + kx * c.dilations[1]
                if 0 <= sy < codes.shape[1] and 0 <= sx < codes.shape[2]:
                    out[g * outs + o, y, x] += (int(codes[g * ins + i, sy, sx]) - zero) * weight[index]
    return out


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    group = draw(st.sampled_from([1, 2]))
    transposed = draw(st.booleans())
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    outs, ins = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = (group * ins, outs, *kernel) if transposed else (group * outs, ins, *kernel)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    strides = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    return Convolution(
        weight=rng.integers(-127, 128, shape).astype(np.int8),
        bias=rng.integers(-1000, 1000, group * outs).astype(np.int32),
        strides=strides,
        pads=tuple(draw(st.integers(0, 2)) for _ in range(4)),  # type: ignore[arg-type]
        dilations=(draw(st.integers(1, 2)), 1),
        group=group,
        transposed=transposed,
        output_padding=(draw(st.integers(0, strides[0] - 1)), 0) if transposed else (0, 0),
    )


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(0, 255), st.sampled_from([1, 40, 1 << 22]))
def test_every_geometry_is_exact(convolution: Convolution, zero: int, band: int) -> None:
    shape = convolution.weight.shape
    channels = shape[0] if convolution.transposed else shape[1] * convolution.group
    codes = np.random.default_rng(zero).integers(0, 256, (channels, 6, 5)).astype(np.uint8)
    try:
        convolution.output_size(6, 5)
    except ModelError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolve, "_BAND", band)
        parts = [part for _, part in convolution.bands(codes, zero)]
    found = np.concatenate(parts, axis=1)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, slow(convolution, codes, zero))


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(0, 255), st.sampled_from([np.uint8, np.uint16]))
def test_compiled_it_gives_the_same(convolution: Convolution, zero: int, dtype: type[np.unsignedinteger]) -> None:
    shape = convolution.weight.shape
    channels = shape[0] if convolution.transposed else shape[1] * convolution.group
    codes = np.random.default_rng(zero).integers(0, np.iinfo(dtype).max + 1, (channels, 6, 5)).astype(dtype)
    try:
        convolution.output_size(6, 5)
    except ModelError:
        return
    found, wanted = (
        np.concatenate([part for _, part in one.bands(codes, zero)], axis=1)
        for one in (compiled(convolution), convolution)
    )
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, wanted)


def test_compiled_sums_beyond_float32_are_exact() -> None:
    weight = np.full((1, 600, 1, 1), 127, np.int8)
    weight[0, 0] = 126
    codes = np.full((600, 1, 1), 255, np.uint8)
    codes[1] = 254
    ((_, found),) = compiled(Convolution(weight, np.ones(1, np.int32))).bands(codes, 0)
    assert found[0, 0, 0] == 126 * 255 + 127 * 254 + 127 * 255 * 598 + 1 > 2**24


def test_sums_beyond_float32_are_exact() -> None:
    weight = np.full((1, 600, 1, 1), 127, np.int8)
    weight[0, 0] = 126
    convolution = Convolution(weight, np.ones(1, np.int32))
    codes = np.full((600, 1, 1), 255, np.uint8)
    codes[1] = 254
    ((_, found),) = convolution.bands(codes, 0)
    assert found[0, 0, 0] == 126 * 255 + 127 * 254 + 127 * 255 * 598 + 1 > 2**24


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    fits = Convolution(np.full((1, 1, 1, 1), 127, np.int8), np.array([2**31 - 1 - 127 * 255], np.int32))
    fits.check(0)
    over = Convolution(np.full((1, 1, 1, 1), 127, np.int8), np.array([2**31 - 127 * 255], np.int32))
    with pytest.raises(ModelError, match="overflow"):
        over.check(0)


def test_a_picture_too_small_for_an_unpadded_convolution_is_an_error() -> None:
    with pytest.raises(TooSmallError, match="leaves nothing"):
        Convolution(np.ones((1, 1, 5, 5), np.int8), np.zeros(1, np.int32)).output_size(4, 9)
