"""The picture that is added to a network's output (the anchor of ABPN, arXiv 2105.09750) gets one spelling.

Before: pads explicit, the final clip taken off. After: where a convolution and an enlargement of another value by its
nearest pixels are added, in whatever spelling, the sum is ``Add(Conv, Concat(value, ..., value))`` followed by a pixel
shuffle DepthToSpace(DCR): the sum is then part of the convolution's kernel. The convolution's output channels are
reordered for that, which changes no number.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import values
from toolchain.frontend.properties import EXPLICIT_PADS, NO_FINAL_CLIP
from toolchain.support.errors import ModelError

_MOVING = frozenset(
    {
        "Cast",
        "Concat",
        "Expand",
        "Gather",
        "Identity",
        "Reshape",
        "Resize",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Upsample",
    }
)


@graph_pass(
    requires=(
        EXPLICIT_PADS,
        NO_FINAL_CLIP,
    )
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    count = 0
    while any(_step(graph, node) for node in graph.nodes if node.op_type == "Add"):
        graph.tidy()
        count += 1
    return facts.said("recognized the input's nearest enlargement in what is added to the output" if count else "")


def _step(graph: Graph, add: onnx.NodeProto) -> bool:
    """Rewrite one sum; False where it is not of that kind, or is in its final spelling already."""
    for mine, other in (add.input, reversed(add.input)):
        shuffle = graph.sole_producer(mine, "DepthToSpace") or graph.sole_consumer(add.output[0])
        if shuffle is None or shuffle.op_type != "DepthToSpace":
            continue
        behind = shuffle.output[0] == mine
        conv = graph.sole_producer(shuffle.input[0] if behind else mine, "Conv")
        root = _root(graph, other)
        if conv is None or root is None or (not behind and _final(graph, other, root)):
            continue
        if any(graph.operand(conv, i) is None for i in (1, 2)):
            continue
        size = int(attributes(shuffle)["blocksize"])
        interleaved = attributes(shuffle).get("mode", "DCR") == "CRD"
        if not _enlarges(graph, root, other, size, behind=behind, interleaved=interleaved):
            continue
        _rewrite(graph, add, shuffle, conv, root, size, interleaved=interleaved)
        return True
    return False


def _root(graph: Graph, name: str) -> str | None:
    """Return the one value that ``name`` only moves about; None if there are several, or nothing is moved."""
    start, roots, seen, stack = name, set(), set(), [name]
    while stack:
        name = stack.pop()
        node = graph.producer(name)
        if name in seen or name in graph.constants:
            continue
        seen.add(name)
        if node is None or node.op_type not in _MOVING:
            roots.add(name)
            continue
        # What a shape is computed from is no source of pixels.
        stack += [i for i in (node.input if node.op_type == "Concat" else node.input[:1]) if i]
    root = roots.pop() if len(roots) == 1 else None
    return None if root == start else root


def _final(graph: Graph, name: str, root: str) -> bool:
    node = graph.producer(name)
    return node is not None and node.op_type == "Concat" and set(node.input) == {root}


def _enlarges(graph: Graph, root: str, name: str, size: int, *, behind: bool, interleaved: bool) -> bool:
    """Whether ``name`` is, or becomes behind the shuffle, ``root`` with every pixel repeated ``size`` times each way.

    Found by running that part of the network on random numbers: there are too many spellings to know them all.
    """
    try:
        found = values(graph, [root, name], np.random.default_rng(0).normal(size=graph.probe).astype(np.float32))
    except ModelError:
        return False
    source, moved = found[root], found[name]
    if source.ndim != 4:
        return False
    if behind:
        wanted = source.repeat(size, axis=2).repeat(size, axis=3)
    else:
        wanted = source.repeat(size * size, axis=1) if interleaved else np.tile(source, (1, size * size, 1, 1))
    return np.unique(source).size > source.size // 2 and np.array_equal(wanted, moved)


def _rewrite(
    graph: Graph,
    add: onnx.NodeProto,
    shuffle: onnx.NodeProto,
    conv: onnx.NodeProto,
    root: str,
    size: int,
    *,
    interleaved: bool,
) -> None:
    if interleaved:
        for position in (1, 2):
            old = graph.constants[conv.input[position]]
            # Channel c*size*size + k of the convolution becomes channel k*C + c.
            parted = old.reshape(-1, size * size, *old.shape[1:])
            conv.input[position] = graph.add_constant(parted.swapaxes(0, 1).reshape(old.shape), conv.input[position])
    target = add.output[0] if shuffle.output[0] in add.input else shuffle.output[0]
    graph.remove([add, shuffle])
    repeated = graph.add("Concat", [root] * (size * size), graph.fresh(f"{target}_anchor"), axis=1)
    total = graph.add("Add", [conv.output[0], repeated.output[0]], graph.fresh(f"{target}_sum"))
    graph.add("DepthToSpace", [total.output[0]], target, blocksize=size, mode="DCR")
