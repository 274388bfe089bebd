"""Tables of pages: headed in words, sorted by a click, and cards on a narrow screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup


@dataclass(frozen=True)
class Column:
    """A column: its title in words, with the unit; ``text``: of words, not figures; ``name``: what a row is about."""

    title: str
    text: bool = False
    name: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: what it shows.
        value: what it is sorted by.
        note: shown below, in small letters.
        share: length of a bar below, -1 to 1; None without one.
        bad: whether it calls for attention.
        good: whether it is the best of its kind.
        drawing: shown in place of the text.
        link: where the text leads: an address, quoted as such; empty: nowhere.
    """

    text: str
    value: float | str
    note: str = ""
    share: float | None = None
    bad: bool = False
    good: bool = False
    drawing: Markup | None = None
    link: str = ""


Row: TypeAlias = Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are columns; ``caption`` says what they are, for those who hear the page."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""


def word(text: str, note: str = "", *, link: str = "") -> Cell:
    """Return a cell that shows a text."""
    return Cell(text, text, note, link=link)


def figure(value: float | None, shown: str, *, bad: bool = False, good: bool = False) -> Cell:
    """Return a cell that shows a number; None is one without end."""
    return Cell(shown, "Infinity" if value is None else value, bad=bad, good=good)


def bar(value: float, most: float, shown: str, *, note: str = "") -> Cell:
    """Return a cell that shows a number, and a bar as long as it is beside ``most``."""
    share = max(-1.0, min(value / most, 1.0)) if most else 0.0
    return Cell(shown, value, note, share)


def distribution(shares: Sequence[float], *, width: int = 128, height: int = 26) -> Markup:
    """Return bars of the square roots of shares, for a cell: rare ones show beside frequent ones."""
    most, step = max((share**0.5 for share in shares), default=0.0) or 1.0, width / max(len(shares), 1)
    # One outline of all bars, in numbers as short as can be: a page may hold hundreds of these.
    tops = [round(2 * height * (1 - share**0.5 / most)) / 2 for share in shares]
    path, last = [f"M0 {height}"], float(height)
    for index, top in enumerate(tops):
        if top != last:
            path.append(f"H{index * step:.5g}V{top:g}")
            last = top
    path.append(f"H{width}V{height}")
    size = Markup('viewBox="0 0 {0} {1}" width="{0}" height="{1}"').format(width, height)
    return Markup('<svg class="spark" {} aria-hidden="true"><path d="{}"/></svg>').format(size, "".join(path))
