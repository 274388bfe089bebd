"""Write docs/passes.md: the passes of the frontend in their order, as their files say what they do."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolchain.frontend.graph import Graph
from toolchain.frontend.passes.base import Pass
from toolchain.frontend.pipeline import OPEN, READ, REWRITE, find_passes

PAGE = Path(__file__).with_suffix(".md")
FOLDER = "../toolchain/frontend/passes"
HEAD = f"""\
# Frontend passes

Written by `python docs/passes.py` from [the files]({FOLDER}) and [their order](../toolchain/frontend/pipeline.py).
"Requires" is what an earlier pass must have ensured, which is checked when the passes are put in order; "ensures" holds
after the pass and after all that follow, which the tests look at on random networks and on the embedded ones.

`clipfree deploy MODEL --dump DIR` writes the model as it is after each of them ([how](dump.md)).
"""
PARTS = {
    "On the ONNX model as it was read": find_passes(READ, onnx.ModelProto),
    "On the ONNX model, once its ends are known": find_passes((*READ, *OPEN), onnx.ModelProto)[len(READ) :],
    "On the graph": find_passes(REWRITE, Graph),
}


def page() -> str:
    """Return the page as text."""
    parts = [f"## {title}\n\n{_table(passes)}" for title, passes in PARTS.items()]
    return "\n".join([HEAD, *parts])


def _table(passes: tuple[Pass, ...]) -> str:
    rows = ["| pass | what it does | requires | ensures |", "|---|---|---|---|"]
    for step in passes:
        requires, ensures = ("; ".join(map(str, found)) for found in (step.requires, step.ensures))
        rows.append(f"| [{step.name}]({FOLDER}/{step.name}.py) | {step.does} | {requires} | {ensures} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
