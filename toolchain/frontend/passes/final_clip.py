"""The clip at the end of the network is found in whatever spelling, and removed.

After: between the last convolution (or addition) and the output there is no clip to 0..1 or 0..255. What is removed is
handed on: the integer output's range does its work.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.limits import PICTURE_RANGES, data_input, final_steps, together
from toolchain.frontend.model import Clip
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import NO_CONSTANT_NODES, NO_FINAL_CLIP


@graph_pass(requires=(NO_CONSTANT_NODES,), ensures=(NO_FINAL_CLIP,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Take the clip off; says which."""
    steps, shuffled_at = final_steps(graph)
    low, high = together(steps)
    match = next((r for r in PICTURE_RANGES if np.allclose((low, high), r, rtol=1e-4, atol=1e-6)), None)
    if match is None:
        return facts
    for node, _ in steps:
        if not graph.bypass(node, data_input(graph, node)):
            return facts
    graph.tidy()
    spelling = "+".join(n.op_type for n, _ in steps)
    where = " before the pixel shuffle" if shuffled_at else ""
    said = f"removed the final clip to {match[0]:g}..{match[1]:g} ({spelling}{where})"
    return replace(facts, clip=Clip(*match, spelling)).said(said)
