"""Networks that give less than the enlarged picture are given a larger one: their convolutions have no padding.

What is missing is counted at two sizes, and as many pixels are added around the picture as make up for it, each what
stands at the border: so does waifu2x, whose networks are of this kind.

Before: convolutions are in their final form. After: the output is a whole number of times as large as the input, if all
that was missing is as many pixels whatever the size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.halo import reaches
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.passes.windows import add_crop
from toolchain.frontend.probe import run
from toolchain.frontend.properties import EXPLICIT_PADS
from toolchain.support.errors import ModelError

_SIZES = (144, 160)


@graph_pass(requires=(EXPLICIT_PADS,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    if not any(node.op_type in ("Slice", "Conv", "ConvTranspose") for node in graph.nodes):
        return facts
    found = _missing(graph, facts.interface.channels)
    if found is None or found[1] == (0, 0):
        return facts
    scale, missing = found
    added = [-(-pixels // scale) for pixels in missing]
    spans = [reaches(graph, scale, axis) for axis in (0, 1)]
    # The pixel that an output stands for lies in the middle of what it sees.
    front = [
        min(pixels, max(0, (span[0] + span[1]) // 2)) if span else pixels // 2
        for span, pixels in zip(spans, added, strict=True)
    ]
    behind = [pixels - before for pixels, before in zip(added, front, strict=True)]
    _surround(graph, [*front, *behind])
    rest = [pixels * scale - wanted for pixels, wanted in zip(added, missing, strict=True)]
    if any(rest):
        _trim(graph, (0, 0, rest[0], rest[1]))
    graph.tidy()
    words = " and ".join(dict.fromkeys(str(max(pair)) for pair in zip(front, behind, strict=True)))
    said = f"added {words} pixels of its border around the picture, as much as convolutions without padding take away"
    border = [before * scale for before in front]
    return replace(facts, border=(border[0], border[1])).said(said)


def _missing(graph: Graph, channels: int) -> tuple[int, tuple[int, int]] | None:
    """Return the scale and how many rows and columns less than that the output has, if that is always as many."""
    model = graph.to_model(input_shape=(1, channels, "h", "w"), output_shape=None)
    sizes = []
    for side in _SIZES:
        try:
            shape = run(model, np.zeros((1, channels, side, side + 16), np.float32)).shape
        except ModelError:
            return None
        if len(shape) != 4:
            return None
        sizes.append(shape[2:])
    (rows, columns), (more, wider) = sizes
    scale, left = divmod(more - rows, _SIZES[1] - _SIZES[0])
    if left or scale < 1 or wider - columns != more - rows:
        return None
    missing = (scale * _SIZES[0] - rows, scale * (_SIZES[0] + 16) - columns)
    return (scale, missing) if min(missing) >= 0 else None


def _surround(graph: Graph, amounts: list[int]) -> None:
    """Add pixels at the top, left, bottom and right of the input."""
    top, left, bottom, right = amounts
    padded = graph.fresh(f"{graph.input}_padded")
    graph.redirect(graph.input, padded)
    pads = graph.add_constant([0, 0, top, left, 0, 0, bottom, right], f"{padded}_pads", np.int64)
    graph.add("Pad", [graph.input, pads], padded, mode="edge")


def _trim(graph: Graph, cut: tuple[int, int, int, int]) -> None:
    """Cut pixels off the output."""
    whole, trimmed = graph.fresh(f"{graph.output}_larger"), graph.fresh(f"{graph.output}_trimmed")
    for node in graph.nodes:
        node.name = whole if node.name == graph.output else node.name
    graph.rename(graph.output, whole)
    graph.output = trimmed
    add_crop(graph, whole, trimmed, cut)
