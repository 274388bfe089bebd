"""Linear structures of several operators become single convolutions: re-parameterized branches, found by what they do.

Convolutions of stride 1, sums, differences, scalings, offsets and constant paddings that lead to one value are a linear
map of the values they start from. ``merging`` decides which of them are better computed by one convolution; merged
weights are formed in float64. Values that something else uses stay.

Before: biases present, pads explicit, activations recognized. After: nothing that leads to one value could be a single
convolution, exact at the borders too, and be cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import onnx

from toolchain.frontend import linear
from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes
from toolchain.frontend.merging import Border, LinearStep, MergeChoice, MergePlan, Term, make_plan
from toolchain.frontend.model import Merge
from toolchain.frontend.passes.affine import per_channel
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import BIASES, CHANNELS_FIRST, EXPLICIT_PADS

Sizes = Mapping[str, tuple[int, ...]]

_REASONS = {
    "bias": "the zeros that pad the second are not what the first makes outside of the picture, which is its bias",
    "overlap": "the first reaches from outside back into the picture, where the second is padded with zeros",
}
_NAMED = 3


@graph_pass(requires=(EXPLICIT_PADS, BIASES, CHANNELS_FIRST))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Merge; says what was merged, and what was refused."""
    sizes = shapes(graph)
    steps = {step.value: step for step in (_step(graph, node, sizes) for node in graph.nodes) if step is not None}
    users = {value: len(graph.consumers(value)) for value in steps}
    channels = {name: shape[1] for name, shape in sizes.items() if len(shape) == 4}
    plans = [make_plan(structure, users, channels) for structure in _structures(graph, steps)]
    before = len(graph.nodes)
    merges = tuple(merge for plan in plans if plan.changes for merge in _carry_out(graph, plan, steps, sizes))
    graph.tidy()
    said = [*_merged(merges, before - len(graph.nodes)), *_refused(b for plan in plans for b in plan.refused)]
    return replace(facts, merges=(*facts.merges, *merges)).said(*said)


def _step(graph: Graph, node: onnx.NodeProto, sizes: Sizes) -> LinearStep | None:
    """Return a node as a linear step; None if it is not one."""
    value = node.output[0]
    shape = sizes.get(value, ())
    if len(shape) != 4 or any(len(sizes.get(n, ())) != 4 for n in node.input if n and n not in graph.constants):
        return None
    if node.op_type in ("Add", "Sub") and not any(n in graph.constants for n in node.input):
        if any(sizes[n] != shape for n in node.input):
            return None
        minus = (linear.affine(-np.ones(shape[1]), np.zeros(shape[1])),) if node.op_type == "Sub" else ()
        return LinearStep(value, ((node.input[0], ()), (node.input[1], minus)))
    if node.op_type == "Conv":
        return _convolution(graph, node, sizes)
    if node.op_type == "Pad":
        return _padding(graph, node, shape[1])
    form = per_channel(graph, node, sizes) if node.op_type in ("Mul", "Div", "Add", "Sub") else None
    return LinearStep(value, ((form[0], (linear.affine(form[1], form[2]),)),)) if form else None


def _convolution(graph: Graph, node: onnx.NodeProto, sizes: Sizes) -> LinearStep | None:
    weight, bias, values = graph.operand(node, 1), graph.operand(node, 2), attributes(node)
    if weight is None or bias is None or "pads" not in values or any(s != 1 for s in values.get("strides", [1])):
        return None
    dilations, group = values.get("dilations", [1, 1]), values.get("group", 1)
    # Of a damaged file the numbers may not fit together; executing it will say so.
    if weight.ndim != 4 or group < 1 or len(weight) % group or bias.shape != weight.shape[:1]:
        return None
    if weight.shape[1] * group != sizes[node.input[0]][1] or len(values["pads"]) != 4 or len(dilations) != 2:
        return None
    outer = linear.convolution(weight.astype(np.float64), bias.astype(np.float64), values["pads"], dilations, group)
    return LinearStep(node.output[0], ((node.input[0], (outer,)),), int(weight.size))


def _padding(graph: Graph, node: onnx.NodeProto, channels: int) -> LinearStep | None:
    pads, value = graph.operand(node, 1), graph.operand(node, 2)
    if attributes(node).get("mode", "constant") != "constant" or pads is None or pads.size != 8:
        return None
    if len(node.input) > 3 or (len(node.input) == 3 and node.input[2] and (value is None or value.size != 1)):
        return None
    amounts = [int(p) for p in pads.ravel()]
    if min(amounts) < 0 or any(amounts[i] for i in (0, 1, 4, 5)):
        return None
    maps = [linear.padding(channels, amounts[2:4] + amounts[6:8])]
    if value is not None and value.any():  # what lies outside is zero once the number is taken away
        number, one = np.full(channels, float(value.ravel()[0])), np.ones(channels)
        maps = [linear.affine(one, -number), *maps, linear.affine(one, number)]
    return LinearStep(node.output[0], ((node.input[0], tuple(maps)),))


def _structures(graph: Graph, steps: dict[str, LinearStep]) -> list[list[LinearStep]]:
    """Return the steps by the one value that is not linear's own affair: used by another operator, or for
    several such.
    """
    root: dict[str, str] = {}
    for value in reversed(steps):
        uses = {root[n.output[0]] if n.output[0] in steps else "" for n in graph.consumers(value)}
        outside = value == graph.output or len(uses) != 1 or "" in uses
        root[value] = value if outside else uses.pop()
    found: dict[str, list[LinearStep]] = {}
    for value, step in steps.items():
        found.setdefault(root[value], []).append(step)
    return list(found.values())


def _carry_out(graph: Graph, plan: MergePlan, steps: Mapping[str, LinearStep], sizes: Sizes) -> list[Merge]:
    """Put the planned convolutions and sums in place of the nodes that made their values."""
    computed = {choice.value for choice in plan.choices}
    gone: set[str] = set()
    merges: list[Merge] = []
    for choice in plan.choices:
        if not choice.terms:
            continue
        parts = []
        for term in choice.terms:
            if term.form is None:
                parts.append(term.base)
                continue
            sources = _replaced(choice, term, steps, computed - {choice.value}, gone)
            name = choice.value if len(choice.terms) == 1 else _name(graph, term, sources)
            _remove(graph, name)
            merges.append(_merge(graph, name, term, sources, steps, sizes))
            parts.append(name)
        if len(parts) > 1:
            _remove(graph, choice.value)
            _sum(graph, choice.value, parts)
    return merges


def _replaced(
    choice: MergeChoice, term: Term, steps: Mapping[str, LinearStep], computed: set[str], gone: set[str]
) -> list[str]:
    """Return the values between a term's base and its addends that nobody computes any longer, in order."""
    found: set[str] = set()
    ahead = list(term.addends)
    while ahead:
        name = ahead.pop()
        if name != term.base and name in steps and name not in computed | gone:
            found.add(name)
            gone.add(name)
            ahead += [operand for operand, _ in steps[name].parts]
    return [value for value in steps if value in found]


def _name(graph: Graph, term: Term, sources: list[str]) -> str:
    return sources[-1] if sources else graph.fresh(f"{term.addends[-1]}_merged")


def _remove(graph: Graph, value: str) -> None:
    node = graph.producer(value)
    if node is not None:
        graph.remove([node])


def _merge(
    graph: Graph, name: str, term: Term, sources: list[str], steps: Mapping[str, LinearStep], sizes: Sizes
) -> Merge:
    """Add the convolution of a term; returns what is known of it."""
    assert term.form is not None
    merged = linear.trimmed(term.form.map)
    weight = merged.weight()
    inputs = [term.base, graph.add_constant(weight, f"{name}_weight"), graph.add_constant(merged.bias, f"{name}_bias")]
    graph.add(
        "Conv",
        inputs,
        name,
        pads=list(merged.pads),
        strides=[1, 1],
        dilations=[1, 1],
        kernel_shape=list(merged.shape),
        group=merged.group,
    )
    pixels = math.prod(sizes[term.base][2:]) / math.prod(sizes[graph.input][2:])
    ratios = [
        linear.outlier_ratio(outer.kernel)
        for source in sources
        if steps[source].macs
        for _, maps in steps[source].parts
        for outer in maps
    ]
    return Merge(
        result=name,
        sources=tuple(sources),
        nodes=len(sources) + len(term.addends) - 1,
        kernel=merged.shape,
        macs_before=sum(steps[source].macs for source in sources) * pixels,
        macs_after=merged.macs * pixels,
        outliers_before=max(ratios, default=1.0),
        outliers_after=linear.outlier_ratio(weight),
    )


def _sum(graph: Graph, target: str, parts: list[str]) -> None:
    value = parts[0]
    for i, part in enumerate(parts[1:], 1):
        name = target if i == len(parts) - 1 else graph.fresh(f"{target}_part{i}")
        graph.add("Add", [value, part], name)
        value = name


def _merged(merges: tuple[Merge, ...], fewer: int) -> list[str]:
    if not merges:
        return []
    before, after = sum(m.macs_before for m in merges), sum(m.macs_after for m in merges)
    many = "1 convolution" if len(merges) == 1 else f"{len(merges)} convolutions"
    worst = max(merges, key=lambda m: m.outliers_after)
    return [
        f"merged linear branches into {many}: {fewer} operators fewer, {before:.0f} multiply-accumulates per pixel "
        f"became {after:.0f}; the largest weight of a channel is up to {worst.outliers_after:.0f} times its median "
        f"('{worst.result}', before merging {worst.outliers_before:.0f} times)"
    ]


def _refused(borders: Iterable[Border]) -> list[str]:
    """One sentence for each reason."""
    said = []
    found = list(dict.fromkeys(borders))
    for why, reason in _REASONS.items():
        pairs = [f"'{b.source}' and '{b.reader}'" for b in found if b.why == why]
        if pairs:
            more = f" and {len(pairs) - _NAMED} more pairs" if len(pairs) > _NAMED else ""
            said.append(f"did not merge {', '.join(pairs[:_NAMED])}{more}: borders would change, since {reason}")
    return said
