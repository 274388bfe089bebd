"""Reconstruction: what is measured moves weights, and does not take away what the pictures hardly show."""

from __future__ import annotations

import numpy as np

from toolchain.quantize.reconstruct import _solve
from toolchain.quantize.weights import QuantizedWeight, round_weight


def solved(given: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> tuple[QuantizedWeight, np.ndarray]:
    start = round_weight(weight, np.ones(len(weight), np.float32), 0, "output")
    return _solve(given.astype(np.float32), wanted.astype(np.float32), weight, 1, start, keep_scale=False)


def test_noise_of_codes_does_not_shrink_weights() -> None:
    """Two inputs that nearly equal each other, whose difference is as large as the noise of their codes: plain least
    squares takes a third or more off the weight of that difference.
    """
    rng = np.random.default_rng(0)
    common, difference = rng.normal(0, 1, 4096), rng.normal(0, 0.05, 4096)
    exact = np.stack([common + difference, common - difference])
    given = exact + rng.normal(0, 0.06, exact.shape)
    weight = np.array([1.0, -1.0]).reshape(1, 2, 1, 1)
    found, bias = solved(given, weight.reshape(1, 2) @ exact, weight)
    assert found.real().reshape(2) @ [0.5, -0.5] > 0.9
    plain = np.linalg.lstsq(given.T, (weight.reshape(1, 2) @ exact).T, rcond=None)[0]
    assert plain.reshape(2) @ [0.5, -0.5] < 0.7
    assert abs(bias[0]) < 0.01


def test_the_mean_is_made_good() -> None:
    """Inputs that saturate are too small on average; the bias takes that up, whatever weights may do."""
    rng = np.random.default_rng(1)
    exact = rng.gamma(1.0, 1.0, (4, 4096))
    given = np.minimum(exact, 1.5)
    weight = rng.normal(0, 1, (3, 4, 1, 1))
    wanted = weight.reshape(3, 4) @ exact + 0.25
    found, bias = solved(given, wanted, weight)
    shown = found.real().reshape(3, 4) @ given + bias[:, None]
    np.testing.assert_allclose(shown.mean(axis=1), wanted.mean(axis=1), atol=1e-3)
