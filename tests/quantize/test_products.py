"""Products, extremes, normalization and global pooling: the plan of their quantization, and their arithmetic by another
formula.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.lower.products import POOLED, PRODUCTS, finished
from tests.quantize.helpers import QUICK, picture, pictures
from tests.quantize.test_qdq import codes_of_onnxruntime
from tests.sr_models import attention, span
from toolchain.frontend import normalize
from toolchain.quantize import IntegerReference, quantize
from toolchain.quantize.plan import make_plan
from toolchain.reference.bounds import find_bounds
from toolchain.reference.channel_pool import run_channel_pool
from toolchain.reference.global_pool import fraction_bits, run_pool
from toolchain.reference.normalization import run_normalization
from toolchain.reference.products import run_pair
from toolchain.reference.program import parse
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import (
    ChannelPoolStep,
    Codes,
    ExtremeStep,
    GlobalPoolStep,
    NormalizationStep,
    ProductStep,
)

QUANTIZATIONS = st.builds(
    Quantization,
    st.floats(1e-3, 1.0).map(lambda scale: float(np.float32(scale))),
    st.integers(0, 255),
    st.just(8),
) | st.builds(
    Quantization,
    st.floats(1e-5, 1e-3).map(lambda scale: float(np.float32(scale))),
    st.integers(0, 65535),
    st.just(16),
)


def nearest(real: Fraction, out: Quantization, off: Fraction = Fraction(0)) -> tuple[int, bool]:
    """The code of a number, exactly, and whether it lies so near the middle of two that float32 may take the other, of
    a number that may be ``off`` by so much.
    """
    steps = real / Fraction(out.scale) + out.zero_point
    code = min(max(round(steps), 0), out.qmax)
    slack = Fraction(1, 2**5 if out.wide else 2**12) + off / Fraction(out.scale)
    return code, abs(steps - steps.__floor__() - Fraction(1, 2)) < slack


@given(QUANTIZATIONS, QUANTIZATIONS, QUANTIZATIONS, st.data())
def test_a_product_and_an_extreme_are_rounded_once(one: Quantization, two: Quantization, out: Quantization, data):
    codes = [data.draw(st.integers(0, given.qmax)) for given in (one, two)]
    reals = [Fraction(given.scale) * (code - given.zero_point) for given, code in zip((one, two), codes, strict=True)]
    terms = Codes("a", one), Codes("b", two)
    values = {name: np.full((1, 1, 1), code) for name, code in zip("ab", codes, strict=True)}
    steps = {
        ProductStep(Codes("y", out), terms, None): reals[0] * reals[1],
        ExtremeStep(Codes("y", out), terms, "min", None): min(reals),
        ExtremeStep(Codes("y", out), terms, "max", None): max(reals),
    }
    for step, real in steps.items():
        code, near = nearest(real, out)
        assert near or run_pair(step, values).item() == code


@example(Quantization(1.0, 120), Quantization(8.316207822645083e-05, 0, 16), 23, 37, 144)
@given(QUANTIZATIONS, QUANTIZATIONS, st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**16))
def test_a_mean_is_that_of_all_codes(given: Quantization, out: Quantization, height: int, width: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, given.qmax + 1, (2, height, width)).astype(given.dtype)
    found = run_pool(GlobalPoolStep(Codes("y", out), Codes("x", given), "average", None), {"x": codes})
    largest = run_pool(GlobalPoolStep(Codes("y", out), Codes("x", given), "max", None), {"x": codes})
    off = Fraction(given.scale) / 2 ** (fraction_bits(given) + 1)  # of a mean, before it is brought to codes
    for channel in range(2):
        flat = [int(code) for code in codes[channel].reshape(-1)]
        for made, mean in ((found, Fraction(sum(flat), len(flat))), (largest, Fraction(max(flat)))):
            code, near = nearest((mean - given.zero_point) * Fraction(given.scale), out, off)
            assert near or made[channel].item() == code


@given(QUANTIZATIONS, QUANTIZATIONS, st.integers(1, 40), st.integers(0, 2**16))
def test_an_extreme_of_a_pixel_is_rounded_once(given: Quantization, out: Quantization, channels: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, given.qmax + 1, (channels, 2, 3)).astype(given.dtype)
    ends: dict[Literal["min", "max"], Callable[..., Any]] = {"min": np.min, "max": np.max}
    for kind, end in ends.items():
        found = run_channel_pool(ChannelPoolStep(Codes("y", out), Codes("x", given), kind, None), {"x": codes})
        for made, extreme in zip(found.ravel(), end(codes, axis=0).ravel(), strict=True):
            code, near = nearest((int(extreme) - given.zero_point) * Fraction(given.scale), out)
            assert near or made == code


@given(QUANTIZATIONS, QUANTIZATIONS, st.integers(1, 40), st.floats(1e-8, 1.0), st.integers(0, 2**16))
def test_a_normalization_is_that_of_a_pixel(
    given: Quantization, out: Quantization, channels: int, epsilon: float, seed: int
):
    random = np.random.default_rng(seed)
    codes = random.integers(0, given.qmax + 1, (channels, 2, 3)).astype(given.dtype)
    codes[:, 1] = random.integers(0, given.qmax + 1)  # nothing differs from the mean
    gains, offsets = (random.normal(0, 1, channels).astype(np.float32) for _ in range(2))
    step = NormalizationStep(Codes("y", out), Codes("x", given), gains, offsets, epsilon)
    found = run_normalization(step, {"x": codes})
    real = (codes.astype(np.float64) - given.zero_point) * given.scale
    real = (real - real.mean(axis=0)) / np.sqrt(real.var(axis=0) + epsilon)
    steps = (real * gains[:, None, None] + offsets[:, None, None]) / out.scale + out.zero_point
    apart = np.abs(found - np.clip(steps, 0, out.qmax))
    assert apart.max() <= 0.5 + 4e-6 * np.abs(steps).max()


@pytest.mark.parametrize("make", [attention, span])
def test_onnxruntime_gives_the_same_within_a_code(make) -> None:
    sr = normalize(make(blocks=1))
    plan = make_plan(sr)
    assert plan.float_operators == ()
    model = quantize(sr, pictures(3), QUICK).model
    pixels = picture(23, 31, 3, 5)
    wanted = codes_of_onnxruntime(model, pixels, 1.0)
    for name, codes in IntegerReference(model).tensors(pixels).items():
        apart = np.abs(codes.astype(int) - wanted[name])
        assert apart.max() <= (1 if codes.dtype == np.uint8 else 300), name


def test_what_has_a_single_pixel_has_16_bits_but_not_before_a_sigmoid() -> None:
    sr = normalize(attention(blocks=1))
    plan = make_plan(sr)
    made = {node.op_type: node for node in sr.model.graph.node}  # the last of each kind
    wide = {plan.group[made[kind].output[0]] for kind in ("GlobalAveragePool", "Sigmoid")}
    assert wide <= plan.exact
    assert plan.group[made["Sigmoid"].input[0]] not in plan.exact


@pytest.mark.parametrize("end", [*PRODUCTS.values(), *POOLED.values()], ids=[*PRODUCTS, *POOLED])
def test_no_picture_leaves_the_bounds(end) -> None:
    model = finished(end)
    assert not [step for step in parse(model).steps if type(step).__name__ == "FloatStep"]
    bounds = find_bounds(model)
    pixels = np.random.default_rng(1).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    for name, codes in IntegerReference(model).tensors(pixels).items():
        assert (codes[0] >= bounds.codes[name].low).all()
        assert (codes[0] <= bounds.codes[name].high).all()
