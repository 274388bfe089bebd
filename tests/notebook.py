"""Notebooks without Jupyter: their cells run one after the other, and what each shows makes a page."""

from __future__ import annotations

import ast
import base64
import contextlib
import html
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STYLE = (
    "body{margin:0;font:14px sans-serif}main{max-width:900px;margin:auto;padding:0 16px}.out{overflow:auto}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}"
)


@dataclass(frozen=True)
class Executed:
    """What came of a notebook.

    Attributes:
        said: what it printed.
        names: its variables.
        page: what its cells show, as HTML.
    """

    said: str
    names: dict[str, Any]
    page: str


def execute(notebook: Path) -> Executed:
    """Run the cells of code in the working folder; what the last line of one comes to is shown below it."""
    names: dict[str, Any] = {}
    said = io.StringIO()
    shown = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        shown.append(f"<pre>{html.escape(source)}</pre>")
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse(source, notebook.name)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(said):
            exec(compile(tree, notebook.name, "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), notebook.name, "eval"), names)
                shown.append(f'<div class="out">{_as_html(value)}</div>')
    head = f"<!doctype html><meta charset=utf-8><title>notebook</title><style>{_STYLE}</style>"
    return Executed(said.getvalue(), names, f"{head}<main>{''.join(shown)}</main>")


def _as_html(value: object) -> str:
    """What a notebook would show of a value."""
    for name in ("_repr_html_", "_repr_png_"):
        shown = getattr(value, name, lambda: None)()
        if isinstance(shown, bytes):
            return f'<img src="data:image/png;base64,{base64.b64encode(shown).decode()}">'
        if shown is not None:
            return str(shown)
    return "" if value is None else f"<pre>{html.escape(repr(value))}</pre>"
