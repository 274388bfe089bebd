"""Tables of reports: headed in words, sorted by a click, and cards on a narrow screen; their style and their script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CSS = """
table{border-collapse:collapse;font-size:13px;width:100%}th,td{padding:4px 8px;text-align:right;vertical-align:top;
border-bottom:1px solid var(--rule);overflow-wrap:anywhere}th{vertical-align:bottom;overflow-wrap:normal}
.text{text-align:left}td.name{min-width:9rem}.bad{color:var(--b);font-weight:600}
th button{font:inherit;font-weight:600;color:var(--soft);background:none;border:0;padding:0;text-align:inherit;
cursor:pointer}th button:hover,th button:focus-visible{color:var(--ink);text-decoration:underline}
th[aria-sort=ascending] button::after{content:" \\2191"}th[aria-sort=descending] button::after{content:" \\2193"}
.bar{display:block;height:6px;background:var(--a);margin-top:3px;border-radius:2px;min-width:1px}
.bar.minus{background:var(--b)}
@media (max-width:760px){table,thead,tbody,tr,td{display:block}thead tr{display:flex;flex-wrap:wrap;gap:.3rem .9rem}
th{border:0;padding:0;text-align:left}tbody tr{border:1px solid var(--rule);border-radius:6px;margin:.6rem 0;
padding:.3rem .5rem}td{border:0;padding:2px 0;display:flex;justify-content:space-between;gap:1rem}
td::before{content:attr(data-title);color:var(--soft);text-align:left;flex:0 1 45%;overflow-wrap:normal}
td>div{flex:0 1 55%;text-align:right}td.name{font-weight:600}td.name::before{content:none}
td.name>div{flex:1;text-align:left}}
"""
SCRIPT = """
for (const head of document.querySelectorAll("th button")) head.addEventListener("click", () => {
  const cell = head.parentNode, table = cell.closest("table"), body = table.tBodies[0], column = cell.cellIndex;
  const down = cell.getAttribute("aria-sort") !== "descending";
  for (const other of cell.parentNode.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", down ? "descending" : "ascending");
  const worth = row => row.cells[column].dataset.value;
  const order = (a, b) => isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b;
  const rows = [...body.rows].sort((a, b) => order(worth(a), worth(b)));
  body.append(...(down ? rows.reverse() : rows));
});
"""


@dataclass(frozen=True)
class Column:
    """A column: its title in words, with the unit; ``text``: of words, not figures; ``name``: what a row is about."""

    title: str
    text: bool = False
    name: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell: what it shows, as HTML, what it is sorted by, and whether it calls for attention."""

    shown: str
    value: float | str
    bad: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table; the page around it holds ``CSS`` and ``SCRIPT`` once."""
    head = "".join(
        f'<th scope="col"{_class(column)}><button type="button">{escape(column.title)}</button></th>'
        for column in columns
    )
    body = "".join(
        f"<tr>{''.join(_cell(column, cell) for column, cell in zip(columns, row, strict=True))}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def word(text: str) -> Cell:
    """Return a cell that shows a text."""
    return Cell(escape(text), text)


def figure(value: float | None, shown: str, *, bad: bool = False) -> Cell:
    """Return a cell that shows a number; None is one without end."""
    return Cell(shown, "Infinity" if value is None else value, bad)


def bar(value: float, most: float, shown: str) -> Cell:
    """Return a cell that shows a number, and a bar as long as it is beside ``most``."""
    share = 100 * min(abs(value) / most, 1.0) if most else 0.0
    kind = "bar minus" if value < 0 else "bar"
    return Cell(f'{shown}<span class="{kind}" style="width:{share:.1f}%"></span>', value)


def _class(column: Column, *, bad: bool = False) -> str:
    names = [name for name, given in (("text", column.text), ("name", column.name), ("bad", bad)) if given]
    return f' class="{" ".join(names)}"' if names else ""


def _cell(column: Column, cell: Cell) -> str:
    return (
        f'<td{_class(column, bad=cell.bad)} data-title="{escape(column.title)}" data-value="{escape(str(cell.value))}">'
        f"<div>{cell.shown}</div></td>"
    )
