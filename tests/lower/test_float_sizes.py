"""Float networks whose tensors are no multiples of their strides, and where rows of deep ones are cut into segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.conftest import photograph
from tests.instruction_sets import AVX2, param
from tests.lower.test_float import HOST, assert_close, built, ended, upscaler
from tests.sr_models import Builder
from toolchain.backends.cpu.float_build import compile_float_model
from toolchain.kernels.vectors import vectors_for
from toolchain.lower import segments
from toolchain.lower.float_lowering import lower_float_model
from toolchain.targets import Target


def uneven(b: Builder) -> None:
    """Steps that no side need be a multiple of: padded, not padded, padded by more than windows reach; then pooling."""

    def strided(x: str, inputs: int, size: int, stride: int, pad: int) -> str:
        weights, biases = b.const(b.rng.normal(0, 0.2, (8, inputs, size, size))), b.const(b.rng.normal(0, 0.1, 8))
        return b.node("Conv", x, weights, biases, strides=[stride] * 2, pads=[pad] * 4)

    def mean(x: str) -> str:
        return b.node("GlobalAveragePool", x)

    x = b.conv("input", 3, 8, identity=3)
    half = b.node("LeakyRelu", strided(x, 8, 3, 2, 1), alpha=0.1)
    third = b.node("Add", strided(x, 8, 3, 3, 0), b.const(0.1))
    wide = b.node("Concat", strided(half, 8, 2, 1, 1), strided(half, 8, 4, 1, 2), axis=1)
    pools = [
        b.node("MaxPool", b.node("Neg", b.node("Abs", third)), kernel_shape=[2, 2], strides=[2, 2]),
        b.node("MaxPool", half, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        b.node("MaxPool", third, kernel_shape=[3, 3]),
    ]
    sums = [mean(b.conv(wide, 16, 8)), *(mean(b.conv(pool, 8, 8)) for pool in pools)]
    for one in sums:
        x = b.node("Add", x, one)
    ended(b, x)


def rounded_up(b: Builder) -> None:
    """A pool whose last window may reach beyond the picture, of what went down before."""
    x = b.conv("input", 3, 8, identity=3)
    weights, biases = b.const(b.rng.normal(0, 0.2, (8, 8, 3, 3))), b.const(b.rng.normal(0, 0.1, 8))
    third = b.node("Neg", b.node("Abs", b.node("Conv", x, weights, biases, strides=[3, 3])))
    pool = b.node("MaxPool", third, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    ended(b, b.node("Add", x, b.node("GlobalAveragePool", b.conv(pool, 8, 8))))


@pytest.mark.parametrize("write", [uneven, rounded_up])
@pytest.mark.parametrize("target", [param(AVX2)])
def test_steps_through_any_number_of_rows(write: Callable[[Builder], None], target: Target):
    model = built(write)
    compiled = compile_float_model(model, target)
    assert_close(model, compiled.executable, sizes=[(9, 9), (10, 13), (23, 76)])
    assert compiled.coverage.float_operators == ()


def deep(b: Builder) -> None:
    """Residual blocks with attention, of which windows reach far in the end."""
    x = b.conv("input", 3, 8, identity=3)
    for _ in range(6):
        inner = x
        for _ in range(3):
            inner = b.node("LeakyRelu", b.conv(inner, 8, 8), alpha=0.1)
        x = b.node("Add", x, b.node("Mul", inner, b.node("Sigmoid", b.conv(inner, 8, 8, 1))))
    ended(b, x)


def test_deep_networks_are_cut_so_that_threads_compute_few_rows_twice():
    found = lower_float_model(built(deep), vectors_for(HOST, "float32"))
    bands = [band for segment in found.segments for band in segment.plan().steps]
    assert len(found.segments) > 1
    twice = sum(band.up + band.down for band in bands) / len(bands)
    assert twice < 0.1 * segments.PART


def test_every_cut_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch):
    model, pixels = built(deep), photograph(70, 153, 3)
    monkeypatch.setattr(segments, "GAIN", 1e9)
    whole = compile_float_model(model, HOST)
    assert len(whole.segments) == 1
    expected = upscaler(whole.executable)(pixels)
    monkeypatch.undo()
    monkeypatch.setattr(segments, "PART", 1)
    monkeypatch.setattr(segments, "STORED", 0.1)
    cut = compile_float_model(model, HOST)
    assert len(cut.segments) > 6
    assert np.array_equal(upscaler(cut.executable)(pixels), expected)
