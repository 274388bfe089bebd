"""What depends on a picture's size only where its sides are no multiples of a unit becomes what it is for multiples.

Networks that divide pictures pad them to a multiple of what they divide them by, and cut the result (NAFNet, arXiv
2204.04676, does); or they round down and enlarge to the picture's size (SAFMN, arXiv 2302.13800). For multiples the
first adds nothing, or always as much, and the second enlarges by a factor. Pictures of other sizes are extended before
they get here (`toolchain.images.units`).

Before: constants are folded. After: no Pad's amounts and no Resize's size are computed of which that is true, and the
network is looked at for a picture whose sides are multiples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import computed, shapes
from toolchain.frontend.properties import CHANNELS_FIRST, NO_CONSTANT_NODES
from toolchain.frontend.source import UNITS, sides
from toolchain.frontend.unit import find_unit
from toolchain.support.errors import ModelError

_MODES = {"constant": "of one number", "edge": "of border pixels", "reflect": "mirrored", "wrap": "of the other end"}


@graph_pass(requires=(CHANNELS_FIRST, NO_CONSTANT_NODES))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    pads = [n for n in graph.nodes if n.op_type == "Pad" and n.input[1] not in graph.constants]
    unit, said, most = 1, [], 0
    if pads:
        found = _padding(graph, [node.input[1] for node in pads])
        if found is not None and _divides(found[0], facts):
            unit, most = found[0], max(int(amounts.max()) for amounts in found[1].values())
            for node in pads:
                node.input[1] = graph.add_constant(found[1][node.input[1]], f"{node.output[0]}_pads", np.int64)
            graph.touch()
            kind = _MODES.get(attributes(pads[0]).get("mode", "constant"), "")
            said.append(f"left out the model's own padding to multiples of {unit}, {kind}" if unit > 1 else "")
    factor = math.lcm(unit, _enlargement(graph))
    if factor > unit and _divides(factor, facts):
        unit = factor
        said.append(f"took sizes that are rounded down for those of pictures whose sides are multiples of {unit}")
    if unit == 1:
        return facts.said(*said)
    unit = math.lcm(unit, facts.interface.unit)
    sizes = [d or s for d, s in zip(facts.interface.declared, reversed(sides(unit, most)[:2]), strict=True)]
    graph.probe = (*graph.probe[:2], *sizes)
    graph.tidy()
    channels = facts.interface.shape[-1] if facts.interface.channels_last else graph.probe[1]
    shape = (1, *sizes, channels) if facts.interface.channels_last else graph.probe
    return replace(facts, interface=replace(facts.interface, shape=shape, unit=unit)).said(*said)


def _divides(unit: int, facts: Facts) -> bool:
    """Whether pictures of the size that the model declares, if it does, are multiples of ``unit``."""
    return not any(side % unit for side in facts.interface.declared)


def _padding(graph: Graph, names: Iterable[str]) -> tuple[int, dict[str, Array]] | None:
    """Return the smallest unit for whose multiples all these amounts are always the same, and them; None without."""
    names = list(dict.fromkeys(names))
    for unit in (1, *UNITS):
        try:
            found = [computed(graph, names, size) for size in _several(unit)]
        except ModelError:
            continue
        if all(np.array_equal(found[0][name], other[name]) for other in found[1:] for name in names):
            return unit, found[0]
    return None


def _several(unit: int) -> list[tuple[int, int]]:
    """Return sizes that are multiples of ``unit``, one after the other: what divides a larger unit shows among them."""
    first = sides(unit)[0] // unit
    return [((first + i) * unit, (first + i + 2) * unit) for i in range(4)]


def _enlargement(graph: Graph) -> int:
    """Return the smallest unit for whose multiples all that is enlarged to a computed size is so by a whole factor."""
    nodes = [n for n in graph.nodes if n.op_type == "Resize" and len(n.input) > 3 and n.input[3] not in graph.constants]
    exact = "align_corners"  # what it does depends on the size in any case
    if not nodes or any(attributes(n).get("coordinate_transformation_mode") == exact for n in nodes):
        return 1
    largest, probe = find_unit(graph), graph.probe
    try:
        for unit in (u for u in range(1, largest + 1) if largest % u == 0):
            if _by_factors(graph, nodes, _several(unit)[:2]):
                return unit
    finally:
        graph.probe = probe
    return 1


def _by_factors(graph: Graph, nodes: Iterable[onnx.NodeProto], several: Iterable[tuple[int, int]]) -> bool:
    """Whether all these Resize enlarge by the same whole factors in pictures of several sizes."""
    factors: dict[str, set[tuple[int, ...]]] = {node.output[0]: set() for node in nodes}
    for size in several:
        graph.probe = (*graph.probe[:2], *size)
        try:
            known = shapes(graph)
        except ModelError:
            return False
        for node in nodes:
            given, made = known.get(node.input[0], ()), known.get(node.output[0], ())
            if len(given) != 4 or len(made) != 4 or any(b % a for a, b in zip(given, made, strict=True)):
                return False
            factors[node.output[0]].add(tuple(b // a for a, b in zip(given, made, strict=True)))
    return all(len(found) == 1 for found in factors.values())
