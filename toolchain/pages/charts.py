"""Charts by Matplotlib: SVG within pages, whose colours are the page's, and files of their own.

A chart is a function that paints on axes. In a page it is drawn twice, wide and for a phone, and the page shows one of
them, so that letters keep their size. Matplotlib is loaded when the first chart is drawn.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from toolchain.pages import svg
from toolchain.support.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    Paint = Callable[["Canvas"], None]

INK, SOFT, RULE, PANEL = "#1b2126", "#5a6570", "#dce1e6", "#ffffff"
SERIES = ("#2463ab", "#c2570c", "#2b8a5f", "#7d4fc4", "#a8801c", "#b83268")
_VARIABLES = {INK: "ink", SOFT: "soft", RULE: "rule", PANEL: "panel", **dict(zip(SERIES, "abcdef", strict=True))}
WIDE, _NARROW, _ALONE = 1100, 350, 900  # of charts in pixels
_EDGE, _BETWEEN = (0.006, 0.008, 0.988, 0.984), (0.06, 0.08)  # of a picture, and between its charts: shares of it
_LEGEND = 28  # height of a legend above a chart, in points
_LONGEST = 28, 16  # names on axes, in letters, on a wide and on a narrow chart
_DOTS = 32  # that a line has at most: of more points only the line is drawn
_FEW = 30  # times as much at the top of a logarithmic axis, and numbers stand between powers of ten
_SAID = 300  # letters of what is said where one points, at most


@dataclass(frozen=True)
class Canvas:
    """What is painted on.

    Attributes:
        axes: Matplotlib's.
        narrow: whether it is for a phone: fewer and shorter words.
        tips: texts that show where an artist is pointed at, see `tip`.
    """

    axes: Axes
    narrow: bool
    tips: dict[str, str]

    def tip(self, artist: Artist, text: str) -> None:
        """Let ``text`` show where ``artist`` is pointed at."""
        key = f"tip{len(self.tips)}"
        artist.set_gid(key)
        self.tips[key] = shorten(text, _SAID)

    def name(self, text: str) -> str:
        """Return a name that fits: cut in its middle where it is too long."""
        return shorten(text, _LONGEST[self.narrow])


def shorten(text: str, most: int) -> str:
    """Return printable letters of ``text``, at most so many: its beginning and its end."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    if len(plain) <= most:
        return plain
    end = (most - 1) // 2
    return f"{plain[: most - 1 - end]}…{plain[-end:]}"


def chart(
    paint: Paint, description: str, *, height: int = 260, narrow_height: int | None = None, width: int = WIDE
) -> Markup:
    """Return what ``paint`` draws as SVG for a page, wide and narrow.

    Args:
        paint: draws on the axes of a canvas, in the colours of this module.
        description: of the chart, for those who do not see it.
        height: in pixels, axes included.
        narrow_height: the same of the narrow one; None: as high.
        width: of the place that the wide one has, in pixels.
    """
    sizes = (("wide", width, height), ("narrow", _NARROW, narrow_height or height))
    said = shorten(description, _SAID)
    return Markup("").join(
        svg.within(_drawn(paint, wide, tall, narrow=kind == "narrow"), kind, said, _VARIABLES)
        for kind, wide, tall in sizes
    )


@dataclass(frozen=True)
class Panel:
    """One of several charts of a picture: its title, and what paints it."""

    title: str
    paint: Paint


def save_chart(path: Path, paint: Paint, title: str, *, height: int = 420, width: int = _ALONE, said: str = "") -> None:
    """Write what ``paint`` draws under a title, on white, as the kind of picture that the name ends in: .svg or .png.

    Args:
        path: of the file.
        paint: draws on the axes of a canvas, in the colours of this module.
        title: above the chart.
        height: in pixels, title included.
        width: in pixels.
        said: lines below the chart, in small letters.

    Raises:
        OSError: it cannot be written.
    """
    save_charts(path, [Panel("", paint)], title, height=height, width=width, said=said)


def save_charts(
    path: Path,
    panels: Sequence[Panel],
    title: str,
    *,
    columns: int = 1,
    height: int,
    width: int = _ALONE,
    said: str = "",
) -> None:
    """Write several charts as one picture, row by row, ``columns`` in each; see `save_chart`.

    Raises:
        OSError: it cannot be written.
    """
    with _figure(width, height) as figure:
        figure.set_facecolor("white")
        figure.get_layout_engine().set(rect=_EDGE, hspace=_BETWEEN[1], wspace=_BETWEEN[0])
        drawn = [figure.add_subplot(-(-len(panels) // columns), columns, number + 1) for number in range(len(panels))]
        for axes, panel in zip(drawn, panels, strict=True):
            panel.paint(Canvas(axes, False, {}))
            _finish(axes)
        above = _LEGEND if any(axes.get_legend() for axes in drawn) else None
        for axes, panel in zip(drawn, panels, strict=True):
            axes.set_title(shorten(panel.title, 60), pad=above)
        figure.suptitle(shorten(title, 110), x=0.01, ha="left", fontsize=14, fontweight="bold")
        if said:
            figure.supxlabel(said, x=0.01, ha="left", fontsize=10, color=SOFT)
        kind = path.suffix.lower().lstrip(".")
        with atomic_write(path) as file:
            if kind == "svg":
                file.write(svg.alone(svg.compact(_as_svg(figure)), shorten(title, _SAID)).encode())
            else:
                figure.savefig(file, format=kind, dpi=144)


def bars(
    names: Sequence[str],
    series: Mapping[str, Sequence[float]],
    axis: str,
    *,
    say: Callable[[float], str] = "{:.3g}".format,
) -> Paint:
    """Return what paints horizontal bars, the first name on top: for each name one of each series, one below the other.

    Args:
        names: of the groups of bars.
        series: values by what they are called; a legend tells several apart.
        axis: title of the values' axis, with its unit.
        say: writes a value, beside its bar.
    """

    def paint(canvas: Canvas) -> None:
        axes, count = canvas.axes, len(series)
        thick = 0.76 / max(count, 1)
        for number, (called, values) in enumerate(series.items()):
            places = [index + (number - (count - 1) / 2) * thick for index in range(len(names))]
            colour = SERIES[number % len(SERIES)]
            drawn = axes.barh(places, values, height=0.88 * thick, color=colour, label=shorten(called, 40))
            for patch, name, value in zip(drawn, names, values, strict=True):
                more = f", {called}" if count > 1 else ""
                canvas.tip(patch, f"{name}{more}: {say(value)}")
            labels = axes.bar_label(drawn, [say(value) for value in values], padding=4, color=SOFT)
            for artist in (*drawn, *labels):
                artist.set_in_layout(False)  # they lie within the axes, and looking for that takes long
        axes.set_yticks(range(len(names)), [canvas.name(name) for name in names])
        axes.invert_yaxis()
        axes.margins(x=0.12 if not canvas.narrow else 0.25, y=0.01)
        axes.set_xlabel(shorten(axis, 80))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        if count > 1:
            axes.legend(ncols=1 if canvas.narrow else count)

    return paint


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    axes_titles: tuple[str, str],
    *,
    names: Sequence[str] = (),
    logarithmic: bool = False,
) -> Paint:
    """Return what paints lines through points (x, y), one for each series.

    Args:
        series: points by what they are called; a legend tells several apart.
        axes_titles: of the horizontal and the vertical axis, with their units.
        names: of the points, shown where one of few is pointed at; as many as the longest series has.
        logarithmic: whether the vertical axis is.
    """

    def paint(canvas: Canvas) -> None:
        axes = canvas.axes
        for number, (called, points) in enumerate(series.items()):
            colour = SERIES[number % len(SERIES)]
            xs, ys = [x for x, _ in points], [y for _, y in points]
            alone = "o" if len(points) == 1 else ""
            axes.plot(xs, ys, color=colour, linewidth=2, marker=alone, label=shorten(called, 40))
            for index, (x, y) in enumerate(points if names and len(points) <= _DOTS else ()):
                (dot,) = axes.plot([x], [y], marker="o", markersize=5, color=colour)
                canvas.tip(dot, f"{names[index]}, {called}: {y:.3g}")
        if logarithmic:
            _logarithmic(axes)
        axes.set_xlabel(shorten(axes_titles[0], 80))
        axes.set_ylabel(shorten(axes_titles[1], 80))
        if len(series) > 1:
            axes.legend(ncols=1 if canvas.narrow else len(series))

    return paint


def _logarithmic(axes: Axes) -> None:
    """Make the vertical axis a logarithmic one, with plain numbers: of powers of ten, and between few of them more."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter((lambda value, _: f"{value:.3g}") if high < _FEW * low else (lambda value, _: ""))


_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters, in the page's font
    "svg.hashsalt": "clipfree",
    "text.parse_math": False,  # names are no formulas
    "font.family": ["sans-serif"],
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    **{f"{axis}tick.{kind}.size": 0 for axis in "xy" for kind in ("major", "minor")},
    **{f"{axis}tick.{kind}.pad": 6 for axis in "xy" for kind in ("major", "minor")},
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.loc": "lower left",
    "legend.borderaxespad": 0.0,
}


@contextmanager
def _figure(width: int, height: int) -> Iterator[Any]:
    """Yield an empty figure of so many pixels, while the style holds."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that Matplotlib's own font lacks: the browser's has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained", facecolor="none")


def _drawn(paint: Paint, width: int, height: int, *, narrow: bool) -> str:
    with _figure(width, height) as figure:
        axes = figure.add_subplot()
        canvas = Canvas(axes, narrow, {})
        paint(canvas)
        _finish(axes)
        drawn = svg.compact(_as_svg(figure))
    for key, tip in canvas.tips.items():
        drawn = drawn.replace(f'<g id="{key}">', f"<g><title>{escape(tip)}</title>", 1)
    return drawn


def _as_svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _finish(axes: Axes) -> None:
    """Put the legend above the axes, where it hides nothing."""
    legend = axes.get_legend()
    if legend is not None:
        legend.set_bbox_to_anchor((0.0, 1.01), transform=axes.transAxes)
