"""Range estimators: independent of how the values arrive, and as good as an exhaustive search says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from toolchain.quantize.estimators import ESTIMATORS, Estimator, make_estimator
from toolchain.reference.quantization import Quantization
from toolchain.support.errors import CalibrationError

values = hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(-1000, 1000, width=32))


def cost(found: NDArray[np.float32], low: float, high: float) -> float:
    quantization = Quantization.of_range(low, high)
    return float(np.mean((quantization.dequantize(quantization.quantize(found)).astype(float) - found) ** 2))


@pytest.mark.parametrize("name", sorted(ESTIMATORS.keys() - {"average"}))
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
    fourth = make_estimator(name)
    fourth.observe(*parts)
    assert first.result() == second.result() == third.result() == fourth.result()


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


def memory(estimator: Estimator) -> int:
    """Bytes of everything that an estimator holds."""
    return len(pickle.dumps(estimator))


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_memory_does_not_grow_with_the_stream(name: str) -> None:
    estimator = make_estimator(name)
    estimator.observe(np.linspace(-1, 1, 5000, dtype=np.float32))
    before = memory(estimator)
    for power in range(30):
        estimator.observe(np.full(1000, 1.7**power, np.float32))
    assert memory(estimator) <= before + 64  # an integer may take a byte more
    assert estimator.result().count == 35_000


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_pictures_of_several_sizes_and_shapes(name: str) -> None:
    estimator = make_estimator(name)
    rng = np.random.default_rng(3)
    for shape in ((1, 3, 8, 9), (7,), (1, 2, 1, 1), (0, 4)):
        estimator.observe(rng.normal(0, 1, shape).astype(np.float32))
    assert estimator.result().count == 3 * 8 * 9 + 7 + 2


@settings(max_examples=80, deadline=None)
@given(part=values.filter(lambda a: a.size > 0), percent=st.sampled_from([50.0, 90.0, 99.0, 99.99, 100.0]))
def test_a_percentile_range_holds_its_share(part: NDArray[np.float32], percent: float) -> None:
    estimator = make_estimator(f"percentile:{percent}")
    estimator.observe(part)
    found = estimator.result()
    cut = part.size * (1 - percent / 100) / 2 + 1e-6
    assert np.count_nonzero(part < found.low) <= cut
    assert np.count_nonzero(part > found.high) <= cut


@pytest.mark.parametrize("name", [*sorted(ESTIMATORS), "percentile:99.9", "percentile:60", "percentile:100"])
@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(
        hnp.arrays(np.float32, st.integers(0, 60), elements=st.sampled_from([0.0, -0.0, 1e-30, 0.5, -3.0, 700.0]))
        | values
        | st.integers(0, 99).map(lambda seed: np.random.default_rng(seed).normal(0, 1, 9000).astype(np.float32)),
        max_size=5,
    ),
    more=st.integers(0, 5000),
)
def test_knowing_how_many_values_come_changes_nothing(name: str, parts: list[NDArray[np.float32]], more: int) -> None:
    known = make_estimator(name).of_at_most(sum(part.size for part in parts) + more)
    unknown = make_estimator(name)
    for part in parts:
        known.observe(part)
        unknown.observe(part)
    assert known.result() == unknown.result()


def test_the_ends_of_a_long_stream_are_all_that_is_kept() -> None:
    rng = np.random.default_rng(4)
    parts = [rng.normal(0, 1 + number / 100, 40_000).astype(np.float32) for number in range(50)]
    estimator = make_estimator("percentile").of_at_most(50 * 40_000)
    for part in parts:
        estimator.observe(part)
    assert memory(estimator) < 20_000  # 100 values may saturate at each end
    again = make_estimator("percentile")
    again.observe(np.concatenate(parts))
    assert estimator.result() == again.result()


@pytest.mark.parametrize("name", ["percentile", "entropy"])
def test_outliers_are_given_up(name: str) -> None:
    tensor = np.random.default_rng(1).laplace(0, 1, 200_000).astype(np.float32)
    tensor[:4] = [-40, 30, 35, 40]
    estimator = make_estimator(name)
    for part in np.array_split(tensor, 7):
        estimator.observe(part)
    found = estimator.result()
    assert 4 < found.high < 25
    assert -25 < found.low < -4
    usual = tensor[4:]
    assert cost(usual, found.low, found.high) < 0.3 * cost(usual, found.seen_low, found.seen_high)


def test_entropy_keeps_what_has_no_outliers() -> None:
    tensor = np.random.default_rng(2).uniform(-3, 5, 100_000).astype(np.float32)
    estimator = make_estimator("entropy")
    estimator.observe(tensor)
    found = estimator.result()
    assert found.low < -2.9
    assert found.high > 4.9


@settings(max_examples=40, deadline=None)
@given(st.lists(values.filter(lambda a: a.size > 0), min_size=1, max_size=32), st.randoms(use_true_random=False))
def test_few_pictures_average_in_any_order(parts: list[NDArray[np.float32]], order: object) -> None:
    first, second = make_estimator("average"), make_estimator("average")
    for part in parts:
        first.observe(part)
    shuffled = list(parts)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for part in shuffled:
        second.observe(*np.array_split(part, 3))
    assert first.result().low == pytest.approx(second.result().low, rel=1e-5, abs=1e-3)
    assert first.result().high == pytest.approx(max(0, np.mean([part.max() for part in parts])), rel=1e-5, abs=1e-3)


def test_of_many_pictures_the_last_count_most() -> None:
    estimator = make_estimator("average")
    for value in [1.0] * 100 + [3.0] * 100:
        estimator.observe(np.array([value], np.float32))
    assert 2.8 < estimator.result().high < 3.0


def test_an_unknown_estimator_is_named() -> None:
    with pytest.raises(CalibrationError, match=r"no range estimator 'magic'.*minmax, mse"):
        make_estimator("magic")
    with pytest.raises(CalibrationError, match="'mse' takes no '3'"):
        make_estimator("mse:3")


@pytest.mark.parametrize("argument", ["x", "nan", "49", "100.1", "-5"])
def test_percentiles_are_checked(argument: str) -> None:
    with pytest.raises(CalibrationError, match="percentile:P with P from 50 to 100"):
        make_estimator(f"percentile:{argument}")
