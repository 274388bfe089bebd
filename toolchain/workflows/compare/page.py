"""The page of a comparison: charts of latency and of latency against quality, and the table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from markupsafe import Markup

from toolchain.bundle import PAGE as DEPLOYMENT
from toolchain.pages import Cell, Column, Table, bar, figure, render, word
from toolchain.pages.charts import SERIES, SOFT, bars, chart
from toolchain.support.files import atomic_write
from toolchain.workflows.compare.result import KINDS, NAMES, Comparison, Kind, Row
from toolchain.workflows.compare.text import beside, decibel, failures, milliseconds, notes, timed_on

if TYPE_CHECKING:
    from toolchain.pages.charts import Canvas, Paint

T = TypeVar("T")
PAGE = "index.html"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_BAR = 22  # pixels that one takes
_RANGE = 20  # of latencies, from which on the axis is logarithmic


def write_page(found: Comparison, folder: Path) -> Path:
    """Write the page into ``folder``; returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_write(folder / PAGE) as file:
        file.write(page_of(found).encode())
    return folder / PAGE


def page_of(found: Comparison) -> str:
    """Return the page: one file that loads nothing."""
    timed = [row for row in found.rows if _best(row) is not None]
    models, targets = _distinct(row.model for row in found.rows), _distinct(row.target for row in found.rows)
    return render(
        "compare.html",
        title="Networks compared",
        lead=f"{_count(len(models), 'network')} on {_count(len(targets), 'target')}, {found.width} x {found.height} "
        "pixels in",
        figures=_figures(found),
        speed=_speed([row for row in timed if not row.same_as]),
        trade=_trade([row for row in timed if not row.same_as]),
        table=_table(found),
        notes=[note for note in notes(found) if note not in {f"{named}: {said}." for said, named in _failed(found)}],
        failures=[f"{named}: {said}." for said, named in _failed(found)],
        made=f"clipfree {found.clipfree}, {found.date}",
    )


def _failed(found: Comparison) -> list[tuple[str, str]]:
    return [*failures(found).items()]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _distinct(names: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(names))


def _kinds(rows: list[Row]) -> list[Kind]:
    return [kind for kind in KINDS if any(row.precision == kind for row in rows)]


def _best(row: Row) -> float | None:
    """Return the shortest latency of a row in milliseconds."""
    best = row.latency.best if row.latency else None
    return None if best is None else 1e3 * best.median_s


def _figures(found: Comparison) -> list[tuple[str, str, str]]:
    """Return what one looks at first."""
    said = []
    measured = [row for row in found.rows if row.latency and row.latency.source == "measured"]
    if measured:
        fastest = min(measured, key=lambda row: _best(row) or 0.0)
        said.append(("fastest", milliseconds((_best(fastest) or 0.0) / 1e3), fastest.title))
    judged = [row for row in found.rows if row.quality]
    if judged:
        finest = max(judged, key=lambda row: row.quality.psnr_y if row.quality else 0.0)
        said.append(("highest PSNR", decibel(finest.quality.psnr_y) if finest.quality else "", finest.title))
    small = [row for row in found.rows if row.library_bytes]
    if small:
        least = min(small, key=lambda row: row.library_bytes)
        said.append(("smallest library", f"{least.library_bytes / 1e3:.0f} kB", least.title))
    ratios = [one.ratio for row in measured if row.latency for time in row.latency.times for one in time.beside]
    if ratios:
        said.append(("onnxruntime takes", f"{min(ratios):.1f} to {max(ratios):.1f} x", "as long, in turn"))
    return said


def _speed(rows: list[Row]) -> list[tuple[str, Markup]]:
    """Return bars of latency for each target, and for each board beside it; what is estimated says so."""
    charts = []
    for place in _distinct((row.target, row.place) for row in rows):
        chosen = [row for row in rows if (row.target, row.place) == place]
        models, kinds = _distinct(row.model for row in chosen), _kinds(chosen)
        times = {(row.model, row.precision): _best(row) or 0.0 for row in chosen}
        series = {NAMES[kind]: [times.get((model, kind), 0.0) for model in models] for kind in kinds}
        known = chosen[0].latency
        how = f"{known.source}, {known.device}" if known else ""
        drawn = chart(
            bars(models, series, "ms, fewer is better", say=lambda value: f"{value:.3g}" if value else ""),
            f"Latency on {place[0]} in milliseconds",
            height=90 + _BAR * len(models) * len(kinds),
        )
        charts.append((f"{', '.join(filter(None, place))}: {how}", drawn))
    return charts


def _trade(rows: list[Row]) -> Markup | None:
    """Return latency against PSNR, of what was measured."""
    points = [row for row in rows if row.quality and row.latency and row.latency.source == "measured"]
    if len(points) < 2:
        return None
    return chart(_scatter(points), "PSNR of luma in dB against latency in milliseconds", height=380)


def _scatter(rows: list[Row]) -> Paint:
    """Return what paints a point for each row: a colour for each model, a shape for each precision."""
    models, kinds = _distinct(row.model for row in rows), _kinds(rows)

    def paint(canvas: Canvas) -> None:
        axes = canvas.axes
        for row in rows:
            latency, level = _best(row) or 0.0, row.quality.psnr_y if row.quality else 0.0
            (dot,) = axes.plot(
                [latency],
                [level],
                linestyle="",
                marker=_MARKERS[kinds.index(row.precision) % len(_MARKERS)],
                markersize=9,
                color=SERIES[models.index(row.model) % len(SERIES)],
            )
            canvas.tip(dot, f"{row.title}: {latency:.3g} ms, {level:.2f} dB")
        for index, model in enumerate(models):
            axes.plot([], [], linestyle="", marker="o", color=SERIES[index % len(SERIES)], label=canvas.name(model))
        for index, kind in enumerate(kinds):
            marker = _MARKERS[index % len(_MARKERS)]
            axes.plot([], [], linestyle="", marker=marker, color=SOFT, label=NAMES[kind])
        times = [_best(row) or 0.0 for row in rows]
        if max(times) > _RANGE * min(times):
            from matplotlib.ticker import LogLocator, NullFormatter

            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0.0, 1.08 * max(times))
        axes.set_xlabel("latency (ms), fewer is better")
        axes.set_ylabel("PSNR Y (dB), more is better")
        axes.margins(y=0.12)
        axes.legend(ncols=2 if canvas.narrow else min(len(models) + len(kinds), 5))

    return paint


def _table(found: Comparison) -> Table:
    slowest = max((_best(row) or 0.0 for row in found.rows), default=0.0)
    other = any(beside(row) != "-" for row in found.rows)
    judged = any(row.quality for row in found.rows)
    columns = [Column("network, target", text=True, name=True), Column("precision", text=True)]
    columns += [Column("library (kB)"), Column("GMAC"), Column("latency (ms)"), Column("timed on", text=True)]
    columns += [Column("onnxruntime (ms)")] * other
    columns += [Column("PSNR Y (dB)"), Column("loss to FP32 (dB)")] * judged + [Column("INT8 to FP32 (dB)")]
    rows = []
    for row in found.rows:
        link = quote(f"{row.bundle}/{DEPLOYMENT}") if row.bundle else ""
        cells = [word(row.model, row.target, link=link), word(NAMES[row.precision])]
        cells += [_number(row.library_bytes / 1e3, ".0f"), _number(row.gmac, ".2f")]
        cells += [_latency(row, slowest), word(timed_on(row), row.latency.device if row.latency else "")]
        cells += [_beside(row)] * other
        if judged:
            cells += [_number(row.quality.psnr_y if row.quality else None, ".2f"), _loss(row)]
        cells.append(_number(row.fidelity.psnr if row.fidelity else None, ".1f"))
        rows.append(cells)
    return Table(
        columns,
        rows,
        "A row for each network, target and precision; a click on a heading sorts, one on a name shows the page of its "
        "deployment.",
    )


def _number(value: float | None, form: str) -> Cell:
    return figure(value, format(value, form)) if value else Cell("-", -1.0)


def _loss(row: Row) -> Cell:
    if row.quality is None:
        return Cell("-", -1.0)
    lost = round(row.quality.loss, 3) + 0.0
    return figure(lost, f"{lost:.3f}", bad=lost > 0.1)


def _latency(row: Row, slowest: float) -> Cell:
    best = row.latency.best if row.latency else None
    if best is None or row.latency is None:
        return Cell("failed" if row.failure else "-", 1e12, bad=row.failure is not None)
    about = "~" if row.latency.source == "estimated" else ""
    times = [f"{time.threads}: {about}{1e3 * time.median_s:.3g}" for time in row.latency.times]
    note = "; ".join(times) if len(times) > 1 else ""
    return bar(1e3 * best.median_s, slowest, f"{about}{1e3 * best.median_s:.3g}", note=note)


def _beside(row: Row) -> Cell:
    times = row.latency.times if row.latency else ()
    known = [one for time in times for one in time.beside]
    if not known:
        return Cell("-", 1e12)
    first = known[0]
    return Cell(f"{1e3 * first.median_s:.3g}", 1e3 * first.median_s, note=f"{first.ratio:.1f} x")
