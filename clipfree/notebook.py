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
        """Return both on top of each other: the corner at the lower right of the upper one is drawn to and fro."""
        width, height = self.after.size
        scale = min(1.0, _WIDE / width)
        size = f"width:{round(width * scale)}px;height:{round(height * scale)}px"
        picture = f"display:block;{size};max-width:none;margin:0;image-rendering:auto"
        return (
            f'<div style="position:relative;{size};max-width:none">'
            f'<img alt="after: the network" style="{picture}" src="{_inline(self.after)}">'
            f'<div style="position:absolute;top:0;left:0;width:50%;height:100%;max-width:100%;overflow:hidden;'
            f'resize:horizontal;border-right:2px solid white">'
            f'<img alt="before: bicubic" style="{picture}" src="{_inline(self.before)}"></div></div>'
            f"<div>left: bicubic; right: the network; draw the corner between them</div>"
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
