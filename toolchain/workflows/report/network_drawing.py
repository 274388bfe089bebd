"""Where the boxes of a drawn network lie: one below the other in the order they run, and lines beside them for what
skips some of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolchain.pages.charts import shorten
from toolchain.workflows.report.structure import Part

_BOX, _TALL, _STEP = 290, 40, 54  # width and height of a box, and from one box to the next, in pixels
_LANE, _LANES = 9, 6  # from one line beside the boxes to the next, and how many there are
_LETTERS = 40, 44  # of the two lines in a box
TONES = ((40.0, "best"), (30.0, "good"), (25.0, "fair"), (-math.inf, "poor"))
"""Signal to noise in dB from which on a tensor is called so."""


@dataclass(frozen=True)
class Box:
    """A part of the network: where its box begins, what it says, and its tone, see `tone_of`; ``more`` shows where one
    points at it.
    """

    top: int
    head: str
    name: str
    bits: str
    tone: str
    more: str


@dataclass(frozen=True)
class Drawing:
    """Boxes, lines with arrows as SVG paths, and the size of it all in pixels."""

    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    width: int
    height: int
    box: int = _BOX
    tall: int = _TALL


def tone_of(noise: float | None) -> str:
    """Return what a signal to noise ratio in dB is called; "none" where it is not known."""
    return "none" if noise is None else next(tone for least, tone in TONES if noise >= least)


def draw_network(parts: Sequence[Part], noise: Mapping[str, float]) -> Drawing:
    """Return the boxes of ``parts``, in the tone of the signal to noise in dB of what each makes, where it is known."""
    boxes, lines, places = [], [], {part.tensor: index for index, part in enumerate(parts)}
    ends = [-1] * _LANES  # of the last line in each lane
    for index, part in enumerate(parts):
        known = noise.get(part.tensor)
        head = f"{part.kind} {part.detail}".replace(" channels", "").strip()
        said = f"{part.name}\n{part.kind}{': ' * bool(part.detail)}{part.detail}"
        said += "" if known is None else f"\nsignal to noise {_decibels(known)}"
        bits = f"{part.bits} bits" if part.bits else ""
        boxes.append(
            Box(index * _STEP, shorten(head, _LETTERS[0]), shorten(part.name, _LETTERS[1]), bits, tone_of(known), said)
        )
        sources = sorted({places[name] for name in part.reads if places.get(name, index) < index}, reverse=True)
        lines += [_straight(one) if one == index - 1 else _beside(one, index, ends) for one in sources]
    width = _BOX + 16 + _LANE * _LANES
    return Drawing(tuple(boxes), tuple(lines), width, max(len(boxes) * _STEP - (_STEP - _TALL), 0))


def _straight(source: int) -> str:
    return f"M{_BOX // 2} {source * _STEP + _TALL}v{_STEP - _TALL - 2}"


def _beside(source: int, target: int, ends: list[int]) -> str:
    """Return a line in the first lane that is free from ``source`` on, else in the last."""
    lane = next((number for number, end in enumerate(ends) if end <= source), _LANES - 1)
    ends[lane] = max(ends[lane], target)
    right, below = _BOX + 12 + lane * _LANE, _TALL // 2
    start, end = source * _STEP + below + 6, target * _STEP + below - 6
    return f"M{_BOX} {start}H{right}V{end}H{_BOX + 2}"


def _decibels(value: float) -> str:
    return "without noise" if value == math.inf else f"{value:.1f} dB"
