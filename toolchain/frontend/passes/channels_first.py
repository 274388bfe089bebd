"""Channels-last ends become NCHW, at the price of a transpose each.

After: input and output are (1, channels, height, width).
"""

from __future__ import annotations

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import TO_FIRST, TO_LAST, Graph
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import CHANNELS_FIRST, is_channels_first


@graph_pass(ensures=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says which ends."""
    done = []
    if facts.interface.channels_last:
        old = graph.input
        graph.input = graph.fresh(f"{old}_nchw")
        graph.add("Transpose", [graph.input], old, perm=TO_LAST)
        graph.probe = tuple(graph.probe[i] for i in TO_FIRST)
        graph.tidy()
        done.append("input")
    out = shapes(graph).get(graph.output)
    last = out is not None and len(out) == 4 and out[3] == facts.interface.channels
    if out is not None and last and not is_channels_first(out, graph.probe):
        old = graph.output
        graph.output = graph.fresh(f"{old}_nchw")
        graph.add("Transpose", [old], graph.output, perm=TO_FIRST)
        done.append("output")
    graph.tidy()
    return facts.said(f"made the {' and '.join(done)} channels-first" if done else "")
