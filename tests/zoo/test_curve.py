"""The loss curve is a picture whatever was measured."""

from __future__ import annotations

import numpy as np
import pytest

from toolchain.zoo.curve import HEIGHT, WIDTH, draw_curve

LINE = (200, 60, 20)


def line(losses: list[list[float]]) -> np.ndarray:
    """Rows of the curve's pixels, by column."""
    picture = draw_curve(losses)
    assert (picture.size, picture.mode) == ((WIDTH, HEIGHT), "RGB")
    return np.argwhere((np.asarray(picture) == LINE).all(axis=-1).T)


def test_a_falling_loss_falls():
    found = line([[step, 1 / step] for step in (1, 10, 100, 1000)])
    assert found[-1][1] > found[0][1] + HEIGHT // 2
    assert found[-1][0] > found[0][0] + WIDTH // 2


@pytest.mark.parametrize("losses", [[[1, 0.5]], [[1, 0.5], [2, 0.5]], [[5, 0.0], [9, 1e-3]]])
def test_few_equal_and_zero_losses(losses: list[list[float]]):
    assert (len(line(losses)) > 0) == (len(losses) > 1)
