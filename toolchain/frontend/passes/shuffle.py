"""Chains of Reshape, Transpose, Squeeze and Unsqueeze are recognized by what they do to the pixels.

A chain is carried out on the numbers 0, 1, 2, ... at a concrete size. If the result is that of DepthToSpace (in either
order of channels) or of a single Transpose, or nothing happened at all, the chain is replaced. So sizes that are baked
in, left as -1 or computed from Shape make no difference.
So it is with SpaceToDepth, in any order of channels. After: no pixel shuffle is spelled out.
"""

from __future__ import annotations

import itertools

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import TO_FIRST, TO_LAST, Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import operands, shapes
from toolchain.frontend.properties import CHANNELS_FIRST

Steps = list[tuple[str, dict[str, object]]]

_MOVING = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
_PERMS = [TO_LAST, TO_FIRST, *(list(p) for p in itertools.permutations(range(4)))]


@graph_pass(requires=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    found: list[str] = []
    while _step(graph, found):
        graph.tidy()
    shuffles = [f for f in found if f]
    done = [f"recognized spelled-out pixel shuffles as {', '.join(shuffles)}"] if shuffles else []
    done += ["simplified reshapes"] if len(found) > len(shuffles) else []
    return facts.said(", ".join(done))


def depth_to_space(x: Array, scale: int, mode: str) -> Array:
    """ONNX DepthToSpace of (1, C*scale*scale, h, w) in NumPy."""
    channels, h, w = x.shape[1] // scale**2, x.shape[2], x.shape[3]
    if mode == "DCR":
        y = x.reshape(1, scale, scale, channels, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(1, channels, scale, scale, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(1, channels, h * scale, w * scale)


def space_to_depth(x: Array, size: int) -> Array:
    """ONNX SpaceToDepth of (1, C, h*size, w*size) in NumPy."""
    channels, h, w = x.shape[1], x.shape[2] // size, x.shape[3] // size
    split = x.reshape(1, channels, h, size, w, size).transpose(0, 3, 5, 1, 2, 4)
    return split.reshape(1, channels * size**2, h, w)


def _step(graph: Graph, found: list[str]) -> bool:
    heads = [
        n
        for n in graph.nodes
        if n.op_type in _MOVING
        and n.input[0] not in graph.constants
        and not (graph.sole_producer(n.input[0], *_MOVING))
    ]
    chains = [c for c in (_chain(graph, n) for n in heads) if any(n.op_type != "Transpose" for n in c)]
    if not chains:
        return False
    values = operands(graph, [n.input[1] for c in chains for n in c if len(n.input) > 1])
    sizes = shapes(graph)
    for chain in chains:
        shape = sizes.get(chain[0].input[0])
        if shape is None or len(shape) != 4:
            continue
        start = np.arange(np.prod(shape)).reshape(shape)
        results = _carry_out(chain, start, values)
        for length in range(len(results), 0, -1):
            part = chain[:length]
            if all(n.op_type == "Transpose" for n in part):
                continue
            new = _explain(start, results[length - 1])
            if new is not None and _replace(graph, part, new):
                found.append(next((_named(op, a) for op, a in new if "blocksize" in a), ""))
                return True
    return False


def _named(op: str, attrs: dict[str, object]) -> str:
    return f"{op}({attrs['blocksize']}, {attrs['mode']})" if "mode" in attrs else f"{op}({attrs['blocksize']})"


def _chain(graph: Graph, head: onnx.NodeProto) -> list[onnx.NodeProto]:
    chain = [head]
    while True:
        follower = graph.sole_consumer(chain[-1].output[0])
        if follower is None or follower.op_type not in _MOVING or follower.input[0] != chain[-1].output[0]:
            return chain
        chain.append(follower)


def _carry_out(chain: list[onnx.NodeProto], x: Array, values: dict[str, Array]) -> list[Array]:
    results = []
    for node in chain:
        operand = [int(v) for v in values[node.input[1]].ravel()] if len(node.input) > 1 and node.input[1] else None
        attrs = attributes(node)
        try:
            if node.op_type == "Reshape":
                zero = [x.shape[i] if v == 0 and not attrs.get("allowzero") else v for i, v in enumerate(operand or [])]
                x = x.reshape(zero)
            elif node.op_type == "Transpose":
                x = x.transpose(attrs.get("perm"))
            elif node.op_type == "Squeeze":
                x = np.squeeze(x, tuple(operand) if operand is not None else None)
            elif node.op_type == "Unsqueeze":
                x = np.expand_dims(x, tuple(operand or ()))
            else:
                axis = attrs.get("axis", 1) % (x.ndim + 1)
                x = x.reshape(int(np.prod(x.shape[:axis])), -1)
        except (ValueError, IndexError):
            break
        results.append(x)
    return results


def _explain(start: Array, end: Array) -> Steps | None:
    """One or a few operators that lead from ``start`` to ``end``; None if there are none."""
    if end.ndim != 4:
        return None
    if start.shape == end.shape and np.array_equal(start, end):
        return []
    for perm in _PERMS:
        if np.array_equal(start.transpose(perm), end):
            return [("Transpose", {"perm": perm})]
    steps: Steps
    for before, after in ((None, None), (None, TO_LAST), (TO_FIRST, TO_LAST), (TO_FIRST, None)):
        source = start if before is None else start.transpose(before)
        target = end if after is None else end.transpose(TO_FIRST)
        if source.shape[0] != 1 or target.shape[0] != 1:  # windows of a picture lie along the first axis
            continue
        down = _unshuffle(source, target)
        if down is not None:
            steps = [("Transpose", {"perm": before})] if before else []
            steps += down
            return [*steps, ("Transpose", {"perm": after})] if after else steps
        scale = target.shape[2] // source.shape[2]
        if scale < 2 or (source.shape[1] // scale**2) * scale**2 != source.shape[1]:
            continue
        for mode in ("CRD", "DCR"):
            result = depth_to_space(source, scale, mode)
            if result.shape == target.shape and np.array_equal(result, target):
                steps = [("Transpose", {"perm": before})] if before else []
                steps.append(("DepthToSpace", {"blocksize": scale, "mode": mode}))
                return [*steps, ("Transpose", {"perm": after})] if after else steps
    return None


def _unshuffle(source: Array, target: Array) -> Steps | None:
    """Return SpaceToDepth, and the order of its channels where that is another."""
    size = source.shape[2] // max(target.shape[2], 1)
    sides = tuple(side * size for side in target.shape[2:])
    if size < 2 or target.shape[1] != source.shape[1] * size**2 or sides != source.shape[2:]:
        return None
    made = space_to_depth(source, size)
    order = np.searchsorted(np.sort(made[0, :, 0, 0]), target[0, :, 0, 0])
    order = np.argsort(made[0, :, 0, 0])[np.minimum(order, made.shape[1] - 1)]
    if not np.array_equal(made[:, order], target):
        return None
    steps: Steps = [("SpaceToDepth", {"blocksize": size})]
    return steps if np.array_equal(order, np.arange(order.size)) else [*steps, ("Gather", {"channels": order})]


def _replace(graph: Graph, part: list[onnx.NodeProto], new: Steps) -> bool:
    if not new:
        first, last = part[0], part[-1]
        if last.output[0] == graph.output and (first.input[0] == graph.input):
            return False
        source = first.input[0]
        graph.remove(part[:-1])
        return graph.bypass(last, source)
    value, target = part[0].input[0], part[-1].output[0]
    graph.remove(part)
    for i, (op, attrs) in enumerate(new):
        name = target if i == len(new) - 1 else graph.fresh(f"{target}_{op.lower()}")
        if op == "Gather":
            graph.add(op, [value, graph.add_constant(attrs["channels"], f"{name}_channels", np.int64)], name, axis=1)
        else:
            graph.add(op, [value], name, **attrs)
        value = name
    return True
