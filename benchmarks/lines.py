"""Line charts side by side: SVG that any browser shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 400, 300, 56, 44, 46
_COLOURS = ("#c2410c", "#475569", "#0e7490", "#7c3aed")
_INK, _FAINT = "#1e293b", "#cbd5e1"


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title, across, unit: what is shown, what runs across, and in what it is measured.
        labels: of the places across, evenly spaced.
        lines: one value for every place, by the line's name.
    """

    title: str
    across: str
    unit: str
    labels: tuple[str, ...]
    lines: dict[str, tuple[float, ...]]


def draw(panels: Sequence[Panel]) -> str:
    """The panels as one picture."""
    body = "".join(f'<g transform="translate({index * _WIDTH} 0)">{_panel(p)}</g>' for index, p in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(panels) * _WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>{body}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    highest = _round_up(max(max(values) for values in panel.lines.values()))
    floor, wide = _HEIGHT - _BOTTOM, _WIDTH - _LEFT - 16
    across = [_LEFT + wide * (i + 0.5) / len(panel.labels) for i in range(len(panel.labels))]
    parts = [_text(_LEFT, 20, f"{panel.title}, {panel.unit}", size=13)]
    for step in range(5):
        value = highest * step / 4
        y = _place(value, highest)
        parts += [
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 16}" y2="{y:.1f}" stroke="{_FAINT}"/>',
            _text(_LEFT - 6, y + 4, f"{value:g}", anchor="end"),
        ]
    parts += [_text(x, floor + 16, label, anchor="middle") for x, label in zip(across, panel.labels, strict=True)]
    parts.append(_text(_LEFT + wide / 2, floor + 36, panel.across, anchor="middle"))
    for index, (name, values) in enumerate(panel.lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        points = [(x, _place(value, highest)) for x, value in zip(across, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(_text(_LEFT + 8 + 110 * index, 36, name, colour=colour))
    return "".join(parts)


def _place(value: float, highest: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * value / highest


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 10, 20, 40, ... that is not below ``value``: its quarters are short numbers."""
    power = 1.0
    while power * 10 < value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 2, 4, 10) if power * step >= value)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK, size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )
