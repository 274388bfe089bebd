"""A comparison as a bar chart: a picture with one group of bars for each number of threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from result import Result
from timing import Figures
from toolchain.pages import charts

_LONGEST = 130  # letters of a reason
_BAR, _HEAD, _WIDTH = 24, 170, 960  # height of a bar, and of all that is no bar; the picture's width: pixels
_OWN, _CLIPPED, _FREE = charts.SERIES[0], "#94a1ad", "#cdd4db"

_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # of what is written beside bars


@dataclass(frozen=True)
class _Group:
    """Contestants on the same number of threads, and the place of the first of them, from the top."""

    threads: int
    figures: tuple[Figures, ...]
    top: int


def draw(path: Path, result: Result) -> None:
    """Write the chart of ``result``, .svg or .png: bars are medians, lines go from the fastest to the 90th percentile.

    Raises:
        OSError: it cannot be written.
    """
    rows = sum(len(group.figures) + 1 for group in _groups(result))
    said = _said(result)
    charts.save_chart(
        path,
        paint(result),
        f"{result.model}, {result.size[1]} x {result.size[0]} pixels",
        height=_HEAD + _BAR * rows + 14 * len(said),
        width=_WIDTH,
        said="\n".join(said),
    )


def paint(result: Result) -> charts.Paint:
    """Return what paints the bars of ``result``."""

    def painted(canvas: charts.Canvas) -> None:
        axes, names = canvas.axes, {}
        for group in _groups(result):
            places = [group.top + index for index in range(1, len(group.figures) + 1)]
            names[group.top] = f"{group.threads} thread{'s' * (group.threads > 1)}"
            names.update({place: one.name for place, one in zip(places, group.figures, strict=True)})
            medians = [one.median for one in group.figures]
            axes.barh(places, medians, height=0.76, color=[_colour(one, result) for one in group.figures])
            axes.hlines(places, [one.fastest for one in group.figures], [one.p90 for one in group.figures], charts.INK)
            for place, one in zip(places, group.figures, strict=True):
                ratio = "" if one.name == result.reference else f", {one.ratio:.2f} x"
                label = f"{one.median:.1f} ms{ratio}"
                end = (max(one.p90, one.median), place)
                axes.annotate(label, end, (5, 0), textcoords="offset points", va="center", fontsize=11, bbox=_GROUND)
            floor = result.floor(group.threads)
            if floor is not None:
                axes.vlines([floor], places[0] - 0.6, places[-1] + 0.6, charts.SERIES[1], linestyle=(0, (4, 3)))
        axes.set_yticks(list(names), list(names.values()))
        for place, label in zip(names, axes.get_yticklabels(), strict=True):
            if place in [group.top for group in _groups(result)]:
                label.set_fontweight("bold")
        axes.set_ylim(len(names) - 0.4, -0.5)
        axes.margins(x=0.16)
        axes.set_xlim(left=0)
        axes.set_xlabel("time for a picture (ms)")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        _legend(canvas, result)

    return painted


def _groups(result: Result) -> list[_Group]:
    groups, top = [], 0
    for threads in dict.fromkeys(one.threads for one in result.figures):
        of_them = tuple(one for one in result.figures if one.threads == threads)
        groups.append(_Group(threads, of_them, top))
        top += len(of_them) + 1
    return groups


def _colour(figures: Figures, result: Result) -> str:
    if figures.name == result.reference:
        return _OWN
    return _FREE if figures.name.endswith("no clip") else _CLIPPED


def _legend(canvas: charts.Canvas, result: Result) -> None:
    """Say what the colours are that are there, and the dashed line."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    there = {_colour(one, result) for one in result.figures}
    kinds = (_OWN, result.reference), (_CLIPPED, "others"), (_FREE, "others, without the final clip")
    handles: list[Line2D | Patch] = [Patch(color=colour, label=label) for colour, label in kinds if colour in there]
    if result.ceiling is not None:
        handles.append(Line2D([], [], color=charts.SERIES[1], linestyle=(0, (4, 3)), label="the dot products alone"))
    canvas.axes.legend(handles=handles, ncols=len(handles))


def _said(result: Result) -> list[str]:
    said = [
        f"{result.cpu}.",
        f"Bar: median of {result.rounds} rounds. Line: from the fastest to the 90th percentile. x: times as long as "
        f"{result.reference}.",
    ]
    floors = {group.threads: result.floor(group.threads) for group in _groups(result)}
    known = [f"{floor:.1f} ms on {threads}" for threads, floor in floors.items() if floor is not None]
    if known:
        said.append(f"Dashed: the dot products alone, {', '.join(known)} thread{'s' * (max(floors) > 1)}.")
    for standing in result.not_timed:
        sentence = standing.sentence()
        said.append(sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST]}...")
    return said
