"""The clip that the network ends in is noted, whatever its bounds: they tell what black and white are.

After: the graph is as it was.
"""

from __future__ import annotations

import math
from dataclasses import replace

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.limits import final_steps, together
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import NO_CONSTANT_NODES


@graph_pass(requires=(NO_CONSTANT_NODES,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Note the bounds, if both are finite."""
    low, high = together(final_steps(graph)[0])
    return replace(facts, limits=(low, high) if math.isfinite(low) and math.isfinite(high) else None)
