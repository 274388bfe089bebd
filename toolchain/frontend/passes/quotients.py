"""A quotient of two computed tensors becomes a product with the reciprocal, which is a table behind what divides.

Before: sums over the picture are means. After: no Div of two tensors that are made of what kernels compute by functions
of single numbers. Others, whose divisor a float operator makes (normalization that is spelled out), are left as they
are, as are functions of one tensor's numbers.
"""

from __future__ import annotations

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.halo import POINTWISE
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import WHOLE_POOLS

_KERNELS = (
    *("Conv", "ConvTranspose", "Add", "Sub", "Mul", "Min", "Max", "Concat", "Gather", "DepthToSpace", "SpaceToDepth"),
    *("Resize", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Pad", "Slice"),
)
"""Operators of two tensors, or of pixels, that kernels compute."""


@graph_pass(requires=(WHOLE_POOLS,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done, and what was not."""
    done, left = 0, list[str]()
    divisions = [n for n in graph.nodes if n.op_type == "Div" and not graph.constants.keys() & set(n.input)]
    sizes = shapes(graph) if divisions else {}
    for node in divisions:
        if len(sizes.get(node.input[1], ())) != len(graph.probe):
            continue  # sizes of pictures are divided too
        above, below = (_root(graph, name) for name in node.input)
        if above == below:
            continue
        if not above or not below:
            left.append(node.name or node.output[0])
            continue
        target = node.output[0]
        dividend, divisor = node.input
        graph.remove([node])
        inverse = graph.add("Reciprocal", [divisor], graph.fresh(f"{target}_inverse")).output[0]
        graph.add("Mul", [dividend, inverse], target)
        done += 1
    graph.tidy()
    return facts.said(
        f"made products of {done} quotients, with reciprocals" if done else "",
        f"left in float what divides by what is no kernel's: {', '.join(left)}" if left else "",
    )


def _root(graph: Graph, name: str) -> str:
    """Return the tensor that a kernel computes of which ``name`` is a function, number by number; empty without one."""
    while name != graph.input:
        node = graph.producer(name)
        if node is None:
            return ""
        computed = _computed(graph, node)
        if node.op_type not in POINTWISE or len(computed) != 1:
            return name if node.op_type in _KERNELS else ""
        name = computed[0]
    return name


def _computed(graph: Graph, node: onnx.NodeProto) -> list[str]:
    """Return what a node reads that is not constant."""
    return [name for name in node.input if name and name not in graph.constants]
