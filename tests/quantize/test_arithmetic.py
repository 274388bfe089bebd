"""The integer arithmetic against a slow oracle of Python integers, fractions and single float32 numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.reference.arithmetic import activate, final_bounds, finish, multiplier, requantize, scaled
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import Activation

scales = st.floats(2.0**-20, 2.0**4, width=32)
zeros = st.integers(0, 255)
codes = st.integers(0, 255)
accumulators = st.integers(-(2**31), 2**31 - 1)


def half_even(value: Fraction) -> int:
    floor = value.numerator // value.denominator
    rest = value - floor
    if rest == Fraction(1, 2):
        return floor + floor % 2
    return floor + (rest > Fraction(1, 2))


def to_float32(value: Fraction) -> Fraction:
    """The nearest float32, ties to even, by integer arithmetic alone (normal numbers only)."""
    if value == 0:
        return value
    sign, value = (-1, -value) if value < 0 else (1, value)
    exponent = 0
    while value >= 2**24:
        value, exponent = value / 2, exponent + 1
    while value < 2**23:
        value, exponent = value * 2, exponent - 1
    return sign * half_even(value) * Fraction(2) ** exponent


@given(accumulators, scales, scales, scales, zeros)
def test_requantizing_an_accumulator_follows_the_formula(
    acc: int, s_x: float, s_w: float, s_y: float, zero: int
) -> None:
    factor = np.float32(np.float64(s_x) * np.float64(s_w) / np.float64(s_y))
    value = to_float32(to_float32(Fraction(acc)) * Fraction(float(factor)))
    wanted = half_even(min(max(value, Fraction(-zero)), Fraction(255 - zero))) + zero
    real = np.array([acc], np.int32).astype(np.float32) * multiplier(s_x, s_w, s_y)
    assert finish(real, None, Quantization(s_y, zero))[0] == wanted


@given(accumulators, scales, codes, scales, zeros, scales, zeros, st.booleans())
def test_a_residual_is_added_before_the_one_rounding(
    acc: int, factor: float, code: int, s_r: float, z_r: int, s_y: float, zero: int, relu: bool
) -> None:
    m = Fraction(float(np.float32(factor)))
    m_r = Fraction(float(np.float32(np.float64(s_r) / np.float64(s_y))))
    value = to_float32(to_float32(Fraction(acc)) * m)
    value = max(value, Fraction(0)) if relu else value
    value = to_float32(value + to_float32(Fraction(code - z_r) * m_r))
    wanted = half_even(min(max(value, Fraction(-zero)), Fraction(255 - zero))) + zero
    out = Quantization(s_y, zero)
    real = np.full((1, 1, 1), acc, np.int32).astype(np.float32) * np.float32(factor)
    real = activate(real, Activation(low=0.0), out) if relu else real
    real = real + scaled(np.full((1, 1, 1), code, np.uint8), z_r, multiplier(s_r, 1.0, s_y))
    assert finish(real, None, out)[0, 0, 0] == wanted


@pytest.mark.parametrize(("value", "wanted"), [(0.5, 0), (1.5, 2), (2.5, 2), (254.5, 254), (255.5, 255), (1e30, 255)])
def test_halves_are_rounded_to_even_and_large_values_saturate(value: float, wanted: int) -> None:
    assert finish(np.array([value], np.float32), None, Quantization(1.0, 0))[0] == wanted


@given(codes, scales, zeros)
def test_requantizing_to_the_same_quantization_changes_nothing(code: int, scale: float, zero: int) -> None:
    same = Quantization(float(np.float32(scale)), zero)
    assert requantize(np.array([code], np.uint8), same, same)[0] == code
    assert same.quantize(same.dequantize(np.array([code], np.uint8)))[0] == code


@given(st.floats(-100, 100, width=32), st.floats(-100, 100, width=32))
def test_a_range_holds_zero_exactly_and_its_ends_within_one_step(first: float, second: float) -> None:
    low, high = min(first, second), max(first, second)
    made = Quantization.of_range(low, high)
    assert made.dequantize(np.array([made.zero_point], np.uint8))[0] == 0
    if max(high, 0) - min(low, 0) > 1e-20:
        assert made.low - made.scale <= min(low, 0) <= made.low + made.scale
        assert made.high - made.scale <= max(high, 0) <= made.high + made.scale


def test_a_range_of_nothing_but_zero_gets_a_usable_scale() -> None:
    assert Quantization.of_range(0.0, 0.0, fallback=1.0) == Quantization(float(np.float32(1 / 255)), 0)


@given(st.floats(-3, 0, width=32), st.floats(0.25, 3, width=32), zeros, st.floats(2**-8, 2**-3, width=32))
def test_a_last_clip_becomes_integer_bounds(low: float, high: float, zero: int, scale: float) -> None:
    found = final_bounds(Activation(low, high), Quantization(scale, zero))
    least = max(-zero, half_even(Fraction(low / scale)))
    most = min(255 - zero, half_even(Fraction(high / scale)))
    assert (int(found[0]), int(found[1])) == (least, most)


def test_prelu_scales_only_what_is_negative() -> None:
    slope = np.array([0.25, 0.5], np.float32)
    values = np.array([[[-4.0, 4.0]], [[-4.0, 4.0]]], np.float32)
    found = finish(values, Activation(slopes=slope), Quantization(1.0, 10))
    assert found.tolist() == [[[9, 14]], [[8, 14]]]
