"""What notebooks show: pictures before and after, and lists as tables."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from PIL import Image

from toolchain.support.notebook import table

Row = TypeVar("Row")

_WIDE = 720
"""Pixels of the screen that a picture is shown on, at most."""
_LABELLED = 240
"""From so many on there is room to say which side is which."""


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """A picture enlarged twice: bicubically, and by a network.

    Attributes:
        before: enlarged bicubically.
        after: by the network; of the same size.
    """

    before: Image.Image
    after: Image.Image

    def side_by_side(self, gap: int = 4) -> Image.Image:
        """Return both in one picture, ``gap`` white pixels between them."""
        width, height = self.after.size
        sheet = Image.new("RGB", (2 * width + gap, height), "white")
        for place, picture in ((0, self.before), (width + gap, self.after)):
            sheet.paste(picture, (place, 0))
        return sheet

    def _repr_html_(self) -> str:
        """Return both on top of each other, under a handle that uncovers one of both: by mouse, finger or arrow keys.

        What moves it is one line on the handle itself. Where notebooks run none, as in those that are not trusted, it
        rests in the middle.
        """
        width, height = self.after.size
        fill = "position:absolute;inset:0;width:100%;height:100%;margin:0"
        picture = f"{fill};display:block;max-width:none"
        plate = "padding:1px 8px;border-radius:5px;background:#000a;color:#fff;font:13px sans-serif"
        label = f"position:absolute;bottom:8px;{plate}"
        labels = f'<span style="{label};left:8px">bicubic</span><span style="{label};right:8px">the network</span>'
        return (
            f'<div style="position:relative;overflow:hidden;width:100%;max-width:{min(width, _WIDE)}px;'
            f'aspect-ratio:{width}/{height};--at:50%">'
            f'<img alt="after: the network" style="{picture};clip-path:inset(0 0 0 var(--at))" '
            f'src="{_inline(self.after)}">'
            f'<img alt="before: bicubic" style="{picture};clip-path:inset(0 calc(100% - var(--at)) 0 0)" '
            f'src="{_inline(self.before)}">{labels if width >= _LABELLED else ""}'
            '<i style="position:absolute;top:0;bottom:0;left:var(--at);width:2px;margin-left:-1px;background:#fff;'
            'box-shadow:0 0 4px #000a"><b style="position:absolute;top:50%;left:50%;width:30px;height:30px;'
            "margin:-15px;border-radius:50%;background:#fff;color:#222;font:600 16px/30px sans-serif;"
            'text-align:center">&harr;</b></i>'
            '<input type="range" min="0" max="100" step="0.1" value="50" aria-label="how much of bicubic is shown" '
            f'style="{fill};opacity:0;cursor:ew-resize" '
            "oninput=\"this.parentNode.style.setProperty('--at', this.value + '%')\"></div>"
        )


class Rows(tuple[Row, ...]):
    """Dataclasses of one kind: a tuple, which notebooks show as a table."""

    __slots__ = ()

    def __new__(cls, rows: Iterable[Row]) -> Rows[Row]:
        """Return them in their order."""
        return super().__new__(cls, tuple(rows))

    def _repr_html_(self) -> str:
        if not self:
            return "<p>none</p>"
        first: Any = self[0]
        names = [field.name for field in dataclasses.fields(first) if field.repr]
        return table(names, ([_shown(getattr(row, name)) for name in names] for row in self))


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else None
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or None
    return ", ".join(map(str, value)) or None if isinstance(value, tuple) else value


def _inline(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
