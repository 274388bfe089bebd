"""Draw the layers of the package, and which of them use which, from the code: ``python docs/architecture.py``.

A box is a package under `toolchain`, with the first sentence of its docstring. It imports only from boxes below it, as
the contract in pyproject.toml demands. Writes docs/architecture.svg.
"""

from __future__ import annotations

import importlib
import sys
from html import escape
from pathlib import Path

import grimp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PICTURE = Path(__file__).with_name("architecture.svg")
WIDTH, HEIGHT, GAP, LEFT = 1060, 40, 8, 20


def layers() -> list[str]:
    """Name the layers from the top, as the contract lists them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return list(contract["layers"])


def draw() -> str:
    """Draw the picture as SVG."""
    names = layers()
    graph = grimp.build_graph("toolchain")
    rows = []
    for index, name in enumerate(names):
        package = f"toolchain.{name}"
        below = [other for other in names[index + 1 :] if _direct(graph, package, f"toolchain.{other}")]
        sentence = (importlib.import_module(package).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        rows.append(_row(index, name, sentence.split(". ")[0].rstrip(".").replace("`", ""), below))
    height = 2 * GAP + len(names) * (HEIGHT + GAP)
    style = (
        "text{font-family:system-ui,sans-serif;font-size:12px;fill:#222}.name{font-weight:600;font-size:14px}"
        ".uses{fill:#666;font-size:11px}rect{fill:#f2f5f9;stroke:#9ab}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="The layers of clipfree">\n<style>{style}</style>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _direct(graph: grimp.ImportGraph, package: str, other: str) -> bool:
    return bool(
        graph.find_matching_direct_imports(import_expression=f"{package}.** -> {other}.**")
        or graph.find_matching_direct_imports(import_expression=f"{package} -> {other}.**")
        or graph.find_matching_direct_imports(import_expression=f"{package}.** -> {other}")
        or graph.find_matching_direct_imports(import_expression=f"{package} -> {other}")
    )


def _row(index: int, name: str, sentence: str, below: list[str]) -> str:
    top = GAP + index * (HEIGHT + GAP)
    uses = "uses " + ", ".join(below) if below else "uses nothing of the others"
    return (
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - 2 * LEFT}" height="{HEIGHT}" rx="5"/>'
        f'<text class="name" x="{LEFT + 12}" y="{top + 25}">{escape(name)}</text>'
        f'<text x="{LEFT + 120}" y="{top + 17}">{escape(sentence)}</text>'
        f'<text class="uses" x="{LEFT + 120}" y="{top + 33}">{escape(uses)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
