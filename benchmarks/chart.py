"""A comparison as a bar chart: SVG that any browser shows, one group of bars for each number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from result import Result

_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 960, 230, 170, 18, 6
_LONGEST = 130
_OWN, _CLIPPED, _FREE, _INK, _FAINT = "#c2410c", "#475569", "#94a3b8", "#1e293b", "#64748b"


def draw(result: Result) -> str:
    """The chart of ``result``: medians as bars, fastest to 90th percentile as a whisker, ratios as text."""
    longest = max((figures.p90 for figures in result.figures), default=1.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    parts: list[str] = []
    y = 34.0
    parts.append(_text(16, y - 8, f"{result.model}, {result.size[0]} x {result.size[1]}, {result.cpu}", size=16))
    for threads in dict.fromkeys(figures.threads for figures in result.figures):
        y += 22
        parts.append(_text(16, y, f"{threads} thread{'s' * (threads > 1)}", size=14))
        y += 10
        top = y
        for figures in (f for f in result.figures if f.threads == threads):
            own = figures.name == result.reference
            colour = _OWN if own else _FREE if figures.name.endswith("no clip") else _CLIPPED
            label = f"{figures.median:.1f} ms" + ("" if own else f", {figures.ratio:.2f} x")
            middle = y + _BAR / 2
            parts += [
                _text(_LEFT - 8, middle + 4, figures.name, anchor="end"),
                f'<rect x="{_LEFT}" y="{y:.1f}" width="{figures.median * scale:.1f}" height="{_BAR}" fill="{colour}"/>',
                _line(_LEFT + figures.fastest * scale, middle, _LEFT + figures.p90 * scale, middle),
                _text(_LEFT + figures.p90 * scale + 6, middle + 4, label),
            ]
            y += _BAR + _GAP
        floor = result.floor(threads)
        if floor is not None:
            x = _LEFT + floor * scale
            words = f"{floor:.1f} ms: the dot products alone"
            parts += [_line(x, top - 4, x, y, dashed=True), _text(x + 4, y + 8, words, colour=_FAINT, size=11)]
            y += 14
    for line in _rest(result):
        y += 18
        parts.append(_text(16, y, line, colour=_FAINT))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 20:.0f}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _rest(result: Result) -> Iterator[str]:
    yield f"Median of {result.rounds} rounds; line: fastest to 90th percentile; x: times as long as {result.reference}."
    for standing in result.not_timed:
        sentence = standing.sentence()
        yield sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST]}..."


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_INK}" stroke-width="1.5"{dashes}/>'
