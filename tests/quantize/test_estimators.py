"""Range estimators: independent of how the values arrive, and as good as an exhaustive search says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from toolchain.errors import CalibrationError
from toolchain.quantize.arithmetic import Quantization
from toolchain.quantize.estimators import ESTIMATORS, make_estimator

values = hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(-1000, 1000, width=32))


def cost(found: NDArray[np.float32], low: float, high: float) -> float:
    quantization = Quantization.of_range(low, high)
    return float(np.mean((quantization.dequantize(quantization.quantize(found)).astype(float) - found) ** 2))


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@settings(max_examples=50, deadline=None)
@given(parts=st.lists(values, max_size=5), order=st.randoms(use_true_random=False))
def test_order_and_cutting_do_not_matter(name: str, parts: list[NDArray[np.float32]], order: object) -> None:
    first, second, third = (make_estimator(name) for _ in range(3))
    for part in parts:
        first.observe(part)
    shuffled = list(parts)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for part in shuffled:
        second.observe(part)
    third.observe(np.concatenate([np.zeros(0, np.float32), *parts]))
    assert first.result() == second.result() == third.result()


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@settings(max_examples=50, deadline=None)
@given(part=values)
def test_a_range_holds_zero_and_lies_within_what_was_seen(name: str, part: NDArray[np.float32]) -> None:
    estimator = make_estimator(name)
    estimator.observe(part)
    found = estimator.result()
    assert min(found.seen_low, 0) <= found.low <= 0 <= found.high <= max(found.seen_high, 0)
    assert found.count == part.size


def test_minmax_is_the_extremes() -> None:
    estimator = make_estimator("minmax")
    estimator.observe(np.array([[-3.0, 1.0]], np.float32))
    estimator.observe(np.array([7.0], np.float32))
    found = estimator.result()
    assert (found.low, found.high) == (-3.0, 7.0)


@pytest.mark.parametrize("signed", [True, False])
def test_mse_gives_up_outliers_and_comes_near_the_best_range(signed: bool) -> None:
    rng = np.random.default_rng(1)
    tensor = rng.laplace(0, 1, 200_000).astype(np.float32)
    tensor = tensor if signed else np.maximum(tensor, 0)
    tensor[0] = 30.0
    estimator = make_estimator("mse")
    for part in np.array_split(tensor, 7):
        estimator.observe(part)
    found = estimator.result()
    assert found.high < 28
    low = float(tensor.min())
    best = min(cost(tensor, a * low, b) for a in np.linspace(0.4, 1, 13) for b in np.linspace(5, 30, 51))
    assert cost(tensor, found.low, found.high) <= 1.03 * best
    assert cost(tensor, found.low, found.high) < 0.95 * cost(tensor, low, 30.0)


def test_mse_memory_does_not_grow() -> None:
    estimator = make_estimator("mse")
    before = sum(v.nbytes for v in vars(estimator).values() if isinstance(v, np.ndarray))
    for power in range(30):
        estimator.observe(np.full(1000, 1.7**power, np.float32))
    assert before == sum(v.nbytes for v in vars(estimator).values() if isinstance(v, np.ndarray))
    assert estimator.result().count == 30_000


def test_an_unknown_estimator_is_named() -> None:
    with pytest.raises(CalibrationError, match=r"no range estimator 'magic'.*minmax, mse"):
        make_estimator("magic")
