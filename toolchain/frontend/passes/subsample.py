"""Every second, third ... row and column of a tensor (``x[..., ::2, 1::2]``) becomes channels of a SpaceToDepth.

Before: pads explicit, channels first. After: no Slice leaves out rows and columns by steps, as far as it takes every
so-manieth one in both directions; put together again (YOLO's Focus), they are a SpaceToDepth and an order of channels.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import operands, shapes
from toolchain.frontend.properties import CHANNELS_FIRST


@graph_pass(requires=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    slices = [node for node in graph.nodes if node.op_type == "Slice"]
    given = operands(graph, [name for node in slices for name in node.input[1:]])
    if not any(len(node.input) > 4 and (given[node.input[4]] > 1).any() for node in slices):
        return facts
    sizes = shapes(graph)
    made: dict[tuple[str, int], str] = {}
    found = sum(_rewrite(graph, node, sizes, given, made) for node in slices)
    graph.tidy()
    return facts.said(f"spelled {found} choices of every so-manieth pixel as SpaceToDepth" if found else "")


def _rewrite(
    graph: Graph,
    node: onnx.NodeProto,
    sizes: dict[str, tuple[int, ...]],
    given: dict[str, Array],
    made: dict[tuple[str, int], str],
) -> bool:
    """Look at the chain of Slices that ends in ``node``."""
    chain = [node]
    while (above := graph.producer(chain[0].input[0])) is not None and above.op_type == "Slice":
        chain.insert(0, above)
    source = chain[0].input[0]
    shape = sizes.get(source)
    if shape is None or len(shape) != 4:
        return False
    start = np.arange(np.prod(shape)).reshape(shape)
    end = start
    for step in chain:
        end = end[_places(step, given)]
    size = -(-shape[2] // max(end.shape[2], 1))
    if size < 2 or end.shape[:2] != shape[:2] or any(side % size for side in shape[2:]):
        return False
    for phase in range(size**2):
        if np.array_equal(start[:, :, phase // size :: size, phase % size :: size], end):
            break
    else:
        return False
    if (source, size) not in made:
        made[source, size] = graph.fresh(f"{source}_depth")
        graph.add("SpaceToDepth", [source], made[source, size], blocksize=size)
    channels = phase * shape[1] + np.arange(shape[1])
    target = node.output[0]
    graph.remove([node])
    graph.add(
        "Gather", [made[source, size], graph.add_constant(channels, f"{target}_channels", np.int64)], target, axis=1
    )
    return True


def _places(node: onnx.NodeProto, given: dict[str, Array]) -> tuple[slice, ...]:
    starts, ends, axes, steps = (
        [int(v) for v in given[node.input[i]].ravel()] if i < len(node.input) and node.input[i] else None
        for i in range(1, 5)
    )
    assert starts is not None
    assert ends is not None
    places = [slice(None)] * 4
    for index, axis in enumerate(axes if axes is not None else range(len(starts))):
        places[axis % 4] = slice(starts[index], ends[index], 1 if steps is None else steps[index])
    return tuple(places)
