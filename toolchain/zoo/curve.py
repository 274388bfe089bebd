"""The loss curve of a training as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolchain.pages import charts

_LEAST = 1e-12  # losses that are drawn: the axis is logarithmic


def draw_losses(path: Path, losses: Sequence[Sequence[float]], network: str) -> None:
    """Write ``[[step, loss], ...]`` as a chart, .png or .svg.

    Raises:
        OSError: it cannot be written.
    """
    points = [(float(step), max(loss, _LEAST)) for step, loss in losses]
    paint = charts.lines({"loss": points}, ("steps", "Charbonnier loss"), logarithmic=True)
    charts.save_chart(path, paint, f"Training of {network}")
