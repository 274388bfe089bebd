"""The loss curve is a picture whatever was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolchain.zoo.curve import draw_losses

LINE = (0x24, 0x63, 0xAB)


def line(losses: list[list[float]], folder: Path) -> np.ndarray:
    """Columns and rows of the curve's pixels, by column."""
    draw_losses(folder / "loss.png", losses, "a network")
    with Image.open(folder / "loss.png") as picture:
        return np.argwhere((np.asarray(picture.convert("RGB")) == LINE).all(axis=-1).T)


def test_a_falling_loss_falls(tmp_path: Path) -> None:
    found = line([[step, 1 / step] for step in (1, 10, 100, 1000)], tmp_path)
    assert found[-1][1] > found[0][1] + 300
    assert found[-1][0] > found[0][0] + 900


@pytest.mark.parametrize("losses", [[[1, 0.5]], [[1, 0.5], [2, 0.5]], [[5, 0.0], [9, 1e-3]]])
def test_few_equal_and_zero_losses(losses: list[list[float]], tmp_path: Path) -> None:
    assert len(line(losses, tmp_path)) > 0
