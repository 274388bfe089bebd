"""Matplotlib's SVG made smaller, and parts of pages.

Matplotlib names every group, gives positions to a millionth of a pixel, and a font to every text; none of that is seen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from html import escape

from markupsafe import Markup

_HEAD = re.compile(r"^.*?(?=<svg )", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_OUTER = re.compile(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt" viewBox="([^"]+)"[^>]*>')
_FONT = re.compile(r";? font-family: [^;\"]*| transform=\"rotate\(-0 [^\"]*\"")
_NAMED = re.compile(r'<g id="(?:figure|axes|patch|line2d|text|legend|matplotlib\.axis|[xy]tick|\w+Collection)_\d+">')
_LONG = re.compile(r"(?<![\w.])-?\d+\.\d{3,}")  # to a thousandth and finer
_BREAK = re.compile(r"\s*\n\s*")
_ALONE = re.compile(r"<g>(<(?:path|use|rect|image)\b[^<>]*/>|<text\b[^<>]*>[^<>]*</text>)</g>")
_EMPTY = re.compile(r"<g>\s*</g>")
_TAGS = re.compile(r"(?<=>)\s+(?=<)")
_NAMES = re.compile(r'(\bid="|url\(#|href="#)')
_TEXT = re.compile(r"(<text\b[^>]*>)([^<]*)")


def compact(svg: str) -> str:
    """Return a drawing of Matplotlib's without what is not seen: the same picture, to a tenth of a pixel."""
    text = _FONT.sub("", _METADATA.sub("", _HEAD.sub("", svg)))
    text = _NAMED.sub("<g>", _TAGS.sub("", text))
    # What is written stays as it is, whatever numbers it holds.
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[2])
        return f"{found[1]}\0"

    text = _TEXT.sub(keep, text)
    text = _LONG.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), _BREAK.sub(" ", text))
    written = iter(kept)
    text = re.sub("\0", lambda _: next(written), text)
    size = None
    while size != len(text):
        size = len(text)
        text = _EMPTY.sub("", _ALONE.sub(r"\1", text))
    return text


def alone(svg: str, description: str) -> str:
    """Return a compact drawing as the text of a file: in the viewer's sans-serif font, and with a description."""
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    about = f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(description)}"'

    def start(found: re.Match[str]) -> str:
        return f'<svg {names} width="{found[1]}" height="{found[2]}" viewBox="{found[3]}" {about}>'

    return _OUTER.sub(start, svg, count=1).strip() + "\n"


def within(svg: str, kind: str, description: str, variables: Mapping[str, str]) -> Markup:
    """Return a compact drawing as a part of a page, in the page's font and colours.

    Args:
        svg: the drawing.
        kind: its class in the page.
        description: for those who do not see it.
        variables: the page's names of colours, by the colours in the drawing.
    """
    about = f'role="img" aria-label="{escape(description)}"'
    # Names within a drawing are those of every other: each gets names of its own.
    own = f"{kind}-{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    text = _NAMES.sub(rf"\g<1>{own}", svg)
    text = _OUTER.sub(lambda found: f'<svg class="{kind}" viewBox="{found[3]}" {about}>', text, count=1)
    for colour, name in variables.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text)
