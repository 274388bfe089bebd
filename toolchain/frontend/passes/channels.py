"""Operators that choose or reorder channels get one spelling, and become part of convolutions where they can.

Before: pads explicit, channels first. After: Split, Slice and Gather of whole channels are Gather over axis 1 by a
list of constants; several in a row, and a Concat of such of one tensor, are one; none does nothing. One that a
convolution reads and that only reorders, or that reads a convolution, is part of its weights: past what treats
all channels alike, or each by itself, it is moved there.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import operands, shapes
from toolchain.frontend.properties import CHANNELS_FIRST, CHANNELS_GATHERED, EXPLICIT_PADS

_ALIKE = ("Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "Abs", "Neg", "Elu", "HardSigmoid", "HardSwish", "Softplus")
_EACH = ("Add", "Sub", "Mul", "Div", "PRelu", "Min", "Max")
_MOVED = (*_ALIKE, *_EACH, "DepthToSpace")


@graph_pass(
    requires=(
        CHANNELS_FIRST,
        EXPLICIT_PADS,
    ),
    ensures=(CHANNELS_GATHERED,),
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    _spell(graph)
    folded = 0
    for _ in range(10 * len(graph.nodes) + 10):
        step = next((s for s in (_step(graph, n) for n in graph.nodes if _indices(graph, n) is not None) if s), "")
        if not step:
            break
        folded += step == "folded"
        graph.tidy()
    return facts.said(f"folded {folded} choices or orders of channels into convolutions" if folded else "")


def _indices(graph: Graph, node: onnx.NodeProto | None) -> Array | None:
    """Return the channels that a node in the common spelling takes; None if it is anything else."""
    if node is None or node.op_type != "Gather" or attributes(node).get("axis") != 1:
        return None
    found = graph.operand(node, 1)
    return found if found is not None and found.ndim == 1 else None


# -- one spelling


def _spell(graph: Graph) -> None:
    nodes = [n for n in graph.nodes if n.op_type in ("Split", "Slice", "Gather")]
    if not nodes:
        return
    sizes = shapes(graph)
    given = operands(graph, [name for n in nodes if n.op_type == "Slice" for name in n.input[1:]])
    for node in nodes:
        shape = sizes.get(node.input[0])
        if shape is None or len(shape) != 4:
            continue
        if node.op_type == "Split":
            _spell_split(graph, node, shape[1], sizes)
        elif node.op_type == "Slice":
            _spell_slice(graph, node, shape, given)
        else:
            found = graph.operand(node, 1)
            if attributes(node).get("axis", 0) in (1, -3) and found is not None and found.ndim == 1:
                _gather(graph, node, node.input[0], found % shape[1], node.output[0])
    graph.tidy()


def _spell_split(graph: Graph, node: onnx.NodeProto, channels: int, sizes: dict[str, tuple[int, ...]]) -> None:
    parts = [sizes.get(name) for name in node.output]
    if attributes(node).get("axis", 0) not in (1, -3) or any(part is None for part in parts):
        return
    ends = np.cumsum([part[1] for part in parts if part is not None])
    if ends[-1] != channels:
        return
    for name, indices in zip(list(node.output), np.split(np.arange(channels), ends[:-1]), strict=True):
        _gather(graph, node, node.input[0], indices, name)


def _spell_slice(graph: Graph, node: onnx.NodeProto, shape: tuple[int, ...], given: dict[str, Array]) -> None:
    """Spell a Slice of channels; one that cuts rows or columns too keeps doing that."""
    starts, ends, axes, steps = (
        [int(v) for v in given[node.input[i]].ravel()] if i < len(node.input) and node.input[i] else None
        for i in range(1, 5)
    )
    if starts is None or ends is None:
        return
    places = [axis % 4 for axis in axes] if axes is not None else list(range(len(starts)))
    steps = steps or [1] * len(starts)
    if 1 not in places:
        return
    at = places.index(1)
    indices = np.arange(shape[1])[starts[at] : ends[at] : steps[at]]
    if steps[at] < 0 and ends[at] < -shape[1]:  # beyond the first channel, which Python cannot say
        indices = np.arange(shape[1])[starts[at] :: steps[at]]
    rest = [i for i in range(len(places)) if i != at]
    source = node.input[0]
    if rest and any(
        shape[places[i]] != len(range(*slice(starts[i], ends[i], steps[i]).indices(shape[places[i]]))) for i in rest
    ):
        cut = graph.fresh(f"{node.output[0]}_cut")
        graph.add(
            "Slice",
            [
                source,
                *(
                    graph.add_constant([values[i] for i in rest], f"{cut}_{what}", np.int64)
                    for what, values in (("starts", starts), ("ends", ends), ("axes", places), ("steps", steps))
                ),
            ],
            cut,
        )
        source = cut
    _gather(graph, node, source, indices, node.output[0])


def _gather(graph: Graph, old: onnx.NodeProto, source: str, indices: Array, target: str) -> None:
    """Replace ``old``, as far as it makes ``target``."""
    graph.remove([old])
    graph.add("Gather", [source, graph.add_constant(indices, f"{target}_channels", np.int64)], target, axis=1)


# -- simplifying


def _step(graph: Graph, node: onnx.NodeProto) -> str:
    indices = _indices(graph, node)
    assert indices is not None
    before = graph.producer(node.input[0])
    inner = _indices(graph, before)
    if before is not None and inner is not None:
        node.input[1] = graph.add_constant(inner[indices], node.input[1], np.int64)
        node.input[0] = before.input[0]
        graph.touch()
        return "joined"
    joined = graph.sole_consumer(node.output[0])
    if joined is not None and _join(graph, joined):
        return "joined"
    if _whole(graph, node, indices) and np.array_equal(indices, np.arange(indices.size)) and graph.bypass(node):
        return "removed"
    if _into_consumers(graph, node, indices) or _into_producer(graph, node, indices):
        return "folded"
    return "moved" if _sink(graph, node, indices) or _rise(graph, node, indices) else ""


def _join(graph: Graph, concat: onnx.NodeProto) -> bool:
    """Make a Concat of choices of one tensor one choice."""
    if concat.op_type != "Concat" or attributes(concat).get("axis") not in (1, -3):
        return False
    makers = [graph.producer(name) for name in concat.input]
    parts = [_indices(graph, maker) for maker in makers]
    found = [
        (maker.input[0], part)
        for maker, part in zip(makers, parts, strict=True)
        if maker is not None and part is not None
    ]
    if len(found) != len(makers) or len({source for source, _ in found}) != 1:
        return False
    _gather(graph, concat, found[0][0], np.concatenate([part for _, part in found]), concat.output[0])
    return True


def _whole(graph: Graph, node: onnx.NodeProto, indices: Array) -> bool:
    """Whether every channel is taken once."""
    shape = shapes(graph).get(node.input[0])
    return shape is not None and np.array_equal(np.sort(indices), np.arange(shape[1]))


def _dense(graph: Graph, node: onnx.NodeProto | None) -> bool:
    """Return a convolution without groups, its weights constant."""
    return bool(
        node is not None
        and node.op_type == "Conv"
        and attributes(node).get("group", 1) == 1
        and (weight := graph.operand(node, 1)) is not None
        and weight.ndim == 4
    )


def _into_consumers(graph: Graph, node: onnx.NodeProto, indices: Array) -> bool:
    users = graph.consumers(node.output[0])
    if (
        not users
        or node.output[0] == graph.output
        or not all(_dense(graph, user) and list(user.input).count(node.output[0]) == 1 for user in users)
    ):
        return False
    if not _whole(graph, node, indices):
        return False  # weights for channels that are not taken would be work for nothing
    for user in users:
        user.input[1] = graph.add_constant(graph.constants[user.input[1]][:, np.argsort(indices)], user.input[1])
    return graph.bypass(node)


def _into_producer(graph: Graph, node: onnx.NodeProto, indices: Array) -> bool:
    producer = graph.sole_producer(node.input[0], "Conv")
    if producer is None or not _dense(graph, producer):
        return False
    for position in (1, 2):
        value = graph.operand(producer, position)
        if value is not None:
            producer.input[position] = graph.add_constant(value[indices], producer.input[position])
        elif position < len(producer.input) and producer.input[position]:
            return False
    return graph.bypass(node)


def _per_channel(graph: Graph, node: onnx.NodeProto) -> list[int] | None:
    """Positions of a node's constants with one number a channel; None if it does not treat channels each by itself."""
    if node.op_type in _ALIKE:
        return []
    if node.op_type not in _EACH or len(node.input) != 2:
        return None
    position = next((i for i, name in enumerate(node.input) if name in graph.constants), None)
    if position is None:
        return None
    value = graph.constants[node.input[position]]
    if value.size == 1:
        return []
    lone = value.ndim in (3, 4) and value.size == value.shape[-3]
    return [position] if lone else None


def _sink(graph: Graph, node: onnx.NodeProto, indices: Array) -> bool:
    """op(take(x)) becomes take(op(x)) where a reordering finds convolutions further down."""
    user = graph.sole_consumer(node.output[0])
    places = None if user is None else _per_channel(graph, user)
    if user is None or places is None or not _whole(graph, node, indices) or not _reaches_consumers(graph, user):
        return False
    for position in places:
        value = graph.constants[user.input[position]]
        user.input[position] = graph.add_constant(
            value.take(np.argsort(indices), axis=value.ndim - 3), user.input[position]
        )
    _exchange(graph, node, user)
    return True


def _exchange(graph: Graph, node: onnx.NodeProto, user: onnx.NodeProto) -> None:
    """``user`` reads what ``node`` read and keeps its name; who read ``user`` reads ``node``."""
    user.input[list(user.input).index(node.output[0])] = node.input[0]
    ordered = graph.fresh(f"{user.output[0]}_ordered")
    graph.redirect(user.output[0], ordered)
    node.input[0], node.output[0] = user.output[0], ordered
    graph.touch()


def _reaches_consumers(graph: Graph, node: onnx.NodeProto) -> bool:
    while _per_channel(graph, node) is not None:
        users = graph.consumers(node.output[0])
        if users and node.output[0] != graph.output and all(_dense(graph, user) for user in users):
            return True
        follower = graph.sole_consumer(node.output[0])
        if follower is None:
            return False
        node = follower
    return False


def _rise(graph: Graph, node: onnx.NodeProto, indices: Array) -> bool:
    """take(op(x)) becomes op(take(x)) where a convolution stands further up."""
    above = graph.sole_producer(node.input[0], *_MOVED)
    if above is None or not _reaches_producer(graph, above):
        return False
    if above.op_type == "DepthToSpace":
        settings = attributes(above)
        size = int(settings["blocksize"]) ** 2
        shape = shapes(graph).get(above.input[0])
        if shape is None:
            return False
        if settings.get("mode", "DCR") == "CRD":
            indices = (indices[:, None] * size + np.arange(size)).reshape(-1)
        else:
            indices = (np.arange(size)[:, None] * (shape[1] // size) + indices).reshape(-1)
    else:
        places = _per_channel(graph, above)
        if places is None:
            return False
        for position in places:
            value = graph.constants[above.input[position]]
            above.input[position] = graph.add_constant(value.take(indices, axis=value.ndim - 3), above.input[position])
    position = next(i for i, name in enumerate(above.input) if name not in graph.constants)
    value, target = above.input[position], node.output[0]
    node.input[0], node.output[0] = value, graph.fresh(f"{value}_ordered")
    node.input[1] = graph.add_constant(indices, node.input[1], np.int64)
    above.input[position], above.output[0] = node.output[0], target
    graph.touch()
    return True


def _reaches_producer(graph: Graph, node: onnx.NodeProto | None) -> bool:
    while node is not None and (node.op_type == "DepthToSpace" or _per_channel(graph, node) is not None):
        name = next((i for i in node.input if i not in graph.constants), "")
        node = graph.sole_producer(name)
    return node is not None and _dense(graph, node)
