"""Pages of one file: a template of this package, filled with values, its style and its script within.

Every text is escaped, whatever it holds: names come from files of other people. A page loads nothing, and runs no
script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_STYLE, _SCRIPT = "page.css", "page.js"


def render(template: str, **values: Any) -> str:
    """Return the page that ``template``, a file in `templates` that extends ``base.html``, makes of ``values``.

    ``title`` is one of them: plain text; what is a `Markup` is taken as HTML.
    """
    environment = _environment()
    style, script = (environment.get_template(name).render() for name in (_STYLE, _SCRIPT))
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        **values, style=Markup(style), script=Markup(script), script_checksum=checksum
    )


def coded(text: str) -> Markup:
    """Return a text with what stands between backticks as code."""
    plain, code = Markup("{}"), Markup("<code>{}</code>")
    return Markup("").join((code if index % 2 else plain).format(part) for index, part in enumerate(text.split("`")))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("toolchain.pages"),
        autoescape=lambda name: name is None or name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = coded
    return environment
