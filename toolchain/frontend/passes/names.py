"""The ends are called ``input`` and ``output``; every node has a name of its own."""

from __future__ import annotations

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import NAMES


@graph_pass(ensures=(NAMES,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rename; never worth a sentence to the user."""
    for wanted in ("input", "output"):
        current = graph.input if wanted == "input" else graph.output
        if current == wanted:
            continue
        if wanted in graph.constants:
            name = graph.fresh(f"{wanted}_inner")
            graph.constants[name] = graph.constants.pop(wanted)
            graph.redirect(wanted, name)
        elif graph.producer(wanted) is not None or graph.input == wanted:
            graph.rename(wanted, graph.fresh(f"{wanted}_inner"))
        graph.rename(current, wanted)
    seen: set[str] = set()
    for node in graph.nodes:
        name, number = node.name or node.output[0], 1
        while name in seen:
            name, number = f"{node.name or node.output[0]}_{number}", number + 1
        node.name = name
        seen.add(name)
    return facts
