"""The few kinds of SVG charts that reports need, as text; colours are CSS variables of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_ROW, _LABEL, _WIDTH = 18, 330, 900


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


def bars(rows: Sequence[tuple[str, Sequence[float]]], series: Sequence[str], unit: str) -> str:
    """Horizontal bars, one group of ``len(series)`` bars for each labelled row; negative values go to the left.

    Args:
        rows: label, and a value for each series.
        series: names, for the legend.
        unit: of the values.
    """
    values = [value for _, many in rows for value in many]
    low, high = min([0.0, *values]), max([0.0, *values]) or 1.0
    plot = _WIDTH - _LABEL - 70
    factor = plot / (high - low)
    zero = _LABEL - low * factor
    tall = _ROW * len(series) // 2 + 6
    parts = [_legend(series)]
    for index, (label, many) in enumerate(rows):
        top = 24 + index * tall
        middle = f"{top + tall / 2 + 1:.0f}"
        parts.append(f'<text x="{_LABEL - 8}" y="{middle}" class="label">{escape(_short(label))}</text>')
        for number, value in enumerate(many):
            x, wide = (zero, value * factor) if value >= 0 else (zero + value * factor, -value * factor)
            y = top + 2 + number * _ROW // 2
            said = escape(f"{label}, {series[number]}: {value:.4g} {unit}")
            size = f'width="{max(wide, 0.5):.1f}" height="{_ROW // 2 - 2}"'
            parts.append(f'<rect class="series{number}" x="{x:.1f}" y="{y}" {size}><title>{said}</title></rect>')
        end = zero + max([0.0, *many]) * factor
        parts.append(f'<text x="{end + 5:.0f}" y="{middle}" class="value">{many[0]:.3g}</text>')
    height = 30 + len(rows) * tall
    axis = f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="22" y2="{height - 4}"/>'
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{axis}{"".join(parts)}</svg>'


def lines(labels: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], unit: str) -> str:
    """Return values over labelled places, one line for each named series; all values finite."""
    values = [value for _, many in series for value in many]
    low, high = min(values), max(values)
    low, high = (low - 1, high + 1) if high - low < 1 else (low, high)
    left, top, plot, tall = 60, 30, _WIDTH - 90, 200
    step = plot / max(1, len(labels) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return left + index * step, top + tall * (high - value) / (high - low)

    parts = [_legend([name for name, _ in series])]
    for mark in range(5):
        value = low + (high - low) * mark / 4
        y = place(0, value)[1]
        parts.append(f'<line class="grid" x1="{left}" x2="{left + plot}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" class="label">{value:.0f}</text>')
    for number, (name, many) in enumerate(series):
        points = [place(index, value) for index, value in enumerate(many)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line{number}" points="{path}"/>')
        parts += [
            f'<circle class="series{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
            f"<title>{escape(f'{labels[index]}, {name}: {many[index]:.2f} {unit}')}</title></circle>"
            for index, (x, y) in enumerate(points)
        ]
    parts += [
        f'<text x="{place(index, low)[0]:.1f}" y="{top + tall + 18}" class="tick">{index + 1}</text>'
        for index in range(len(labels))
    ]
    return f'<svg viewBox="0 0 {_WIDTH} {top + tall + 26}" role="img">{"".join(parts)}</svg>'


def _legend(names: Sequence[str]) -> str:
    parts, x = [], 60
    for number, name in enumerate(names):
        parts.append(f'<rect class="series{number}" x="{x}" y="4" width="12" height="10"/>')
        parts.append(f'<text x="{x + 17}" y="13" class="name">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    return "".join(parts)


def _short(label: str, most: int = 46) -> str:
    return label if len(label) <= most else "..." + label[3 - most :]
