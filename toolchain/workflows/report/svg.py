"""The few kinds of SVG charts that reports need, as text; colours are CSS variables of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH = 900
_TICKS = 40, 10
"""Numbers below an axis at most, and on a narrow screen."""


def histogram(shares: Sequence[float], *, width: int = 128, height: int = 26) -> str:
    """Bars of the square roots of ``shares``, so that rare codes can be seen beside frequent ones."""
    most = max([share**0.5 for share in shares], default=0.0) or 1.0
    step = width / len(shares)
    bars = "".join(
        f'<rect x="{index * step:.1f}" y="{height - (tall := height * share**0.5 / most):.1f}" '
        f'width="{step:.1f}" height="{tall:.1f}"/>'
        for index, share in enumerate(shares)
        if share > 0
    )
    return f'<svg class="histogram" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{bars}</svg>'


def lines(
    places: Sequence[tuple[str, str]], series: Sequence[tuple[str, Sequence[float]]], unit: str, axes: tuple[str, str]
) -> str:
    """Return values over places, one line for each named series; all values finite.

    Args:
        places: what stands below each, and its name, which is shown when it is pointed at.
        series: name, and a value for each place.
        unit: of the values.
        axes: titles of the horizontal and the vertical axis.
    """
    values = [value for _, many in series for value in many]
    low, high = min(values), max(values)
    low, high = (low - 1, high + 1) if high - low < 1 else (low, high)
    left, top, plot, tall = 90, 40, _WIDTH - 110, 240
    step = plot / max(1, len(places) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return left + index * step, top + tall * (high - value) / (high - low)

    parts = [_legend([name for name, _ in series])]
    for mark in range(5):
        value = low + (high - low) * mark / 4
        y = place(0, value)[1]
        parts.append(f'<line class="grid" x1="{left}" x2="{left + plot}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 5:.1f}" class="label">{value:.0f}</text>')
    for number, (name, many) in enumerate(series):
        points = [place(index, value) for index, value in enumerate(many)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line{number}" points="{path}"/>')
        parts += [
            f'<circle class="series{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
            f"<title>{escape(f'{places[index][1]}, {name}: {many[index]:.2f} {unit}')}</title></circle>"
            for index, (x, y) in enumerate(points)
        ]
    often, seldom = (-(-len(places) // most) for most in _TICKS)
    parts += [
        f'<text x="{place(index, low)[0]:.1f}" y="{top + tall + 22}" class="tick{" rare" * (index % seldom > 0)}">'
        f"{escape(below)}</text>"
        for index, (below, _) in enumerate(places)
        if index % often == 0
    ]
    parts.append(f'<text x="{left + plot / 2}" y="{top + tall + 50}" class="title">{escape(axes[0])}</text>')
    middle = top + tall / 2
    parts.append(
        f'<text x="24" y="{middle}" class="title" transform="rotate(-90 24 {middle})">{escape(axes[1])}</text>'
    )
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {top + tall + 60}" role="img">{"".join(parts)}</svg>'


def _legend(names: Sequence[str]) -> str:
    parts = []
    for number, name in enumerate(names):
        x = 90 + number * (_WIDTH - 110) // len(names)
        parts.append(f'<rect class="series{number}" x="{x}" y="6" width="14" height="14"/>')
        parts.append(f'<text x="{x + 22}" y="19" class="name">{escape(name)}</text>')
    return "".join(parts)
