"""Line charts side by side, as one SVG picture that any browser shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.pages import charts

_WIDTH, _HEIGHT, _COLUMNS = 900, 320, 2  # of the picture, of a row of it, and how many charts are in one


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title, across: what is shown, and what runs across.
        unit: title of the vertical axis: what is measured, with its unit.
        labels: of the places across, evenly spaced.
        lines: one value for every place, by the line's name.
    """

    title: str
    across: str
    unit: str
    labels: tuple[str, ...]
    lines: dict[str, tuple[float, ...]]


def draw(path: Path, panels: Sequence[Panel], title: str) -> None:
    """Write the panels under a title as one picture, .svg or .png.

    Raises:
        OSError: it cannot be written.
    """
    drawn = [charts.Panel(panel.title, paint(panel)) for panel in panels]
    height = 40 + _HEIGHT * -(-len(panels) // _COLUMNS)
    charts.save_charts(path, drawn, title, columns=_COLUMNS, height=height, width=_WIDTH)


def paint(panel: Panel) -> charts.Paint:
    """Return what paints a panel: its lines from zero up, with a dot at every place."""

    def painted(canvas: charts.Canvas) -> None:
        axes, places = canvas.axes, range(len(panel.labels))
        for colour, (name, values) in zip(charts.SERIES, panel.lines.items(), strict=False):
            axes.plot(places, values, color=colour, linewidth=2, marker="o", markersize=5, label=name)
        axes.set_ylim(bottom=0)
        axes.set_xticks(places, panel.labels)
        axes.set_xlabel(panel.across)
        axes.set_ylabel(panel.unit)
        axes.grid(axis="x", visible=False)
        if len(panel.lines) > 1:
            axes.legend(ncols=len(panel.lines))

    return painted
