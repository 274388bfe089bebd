"""Padding of convolutions is written as explicit numbers.

After: Conv and ConvTranspose have ``pads``, ``strides``, ``dilations``, ``kernel_shape``, ``group`` and no
``auto_pad``, except strided ones with SAME of pictures of any size, on which their padding depends.
A zero Pad before Conv is part of it.
"""

from __future__ import annotations

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import CHANNELS_FIRST, EXPLICIT_PADS, NO_CONSTANT_NODES


@graph_pass(
    requires=(
        CHANNELS_FIRST,
        NO_CONSTANT_NODES,
    ),
    ensures=(EXPLICIT_PADS,),
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    convolutions = [n for n in graph.nodes if n.op_type in ("Conv", "ConvTranspose")]
    told = any("output_shape" in attributes(n) or _depends(n) for n in convolutions)
    known = shapes(graph) if told else {}
    unit = facts.interface.unit
    explicit = sum(_explicit(graph, n, known.get(n.input[0]), unit) for n in convolutions)
    merged = sum(_merge(graph, n) for n in list(graph.nodes) if n.op_type == "Pad")
    graph.tidy()
    done = [f"made the padding of {explicit} convolutions explicit"] if explicit else []
    done += [f"merged {merged} zero paddings into convolutions"] if merged else []
    return facts.said(", ".join(done))


def _depends(node: onnx.NodeProto) -> bool:
    """Whether the padding depends on the picture's size."""
    found = attributes(node)
    return node.op_type == "Conv" and "SAME" in found.get("auto_pad", "") and max(found.get("strides", [1])) > 1


def _explicit(graph: Graph, node: onnx.NodeProto, shape: tuple[int, ...] | None, unit: int) -> bool:
    """Fill in all attributes; True if ``auto_pad`` or ``output_shape`` was replaced. ``shape`` is that of the input,
    ``unit`` what all pictures are multiples of.
    """
    weight = graph.operand(node, 1)
    if weight is None or weight.ndim != 4:
        return False
    values = attributes(node)
    kernel = [int(k) for k in weight.shape[2:]]
    strides = list(values.get("strides", [1, 1]))
    dilations = list(values.get("dilations", [1, 1]))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    mode = values.get("auto_pad", "NOTSET")
    begin, end = list(values.get("pads", [0] * 4))[:2], list(values.get("pads", [0] * 4))[2:]
    target = list(values.get("output_shape", []))
    if target and (shape is None or target[-2:] != [n * s for n, s in zip(shape[2:], strides, strict=True)]):
        return False
    if target and not mode.startswith("SAME"):
        mode = "SAME_LOWER"  # where the odd padding goes if nothing else is said
    if mode == "VALID":
        begin, end = [0, 0], [0, 0]
    elif mode.startswith("SAME"):
        if node.op_type == "Conv":
            whole = unit > 1 and shape is not None and not any(n % s for n, s in zip(shape[2:], strides, strict=True))
            if strides != [1, 1] and not whole:
                return False
            total = [max(r - s, 0) for r, s in zip(reach, strides, strict=True)]
        else:
            # The output is `stride` times as large as the input.
            extra = list(values.get("output_padding", [0, 0]))
            total = [r + e - s for r, e, s in zip(reach, extra, strides, strict=True)]
            if min(total) < 0:
                return False  # then runtimes do not make it so
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        begin, end = (small, large) if mode == "SAME_UPPER" else (large, small)
    for name, value in (
        ("auto_pad", None),
        ("output_shape", None),
        ("pads", begin + end),
        ("strides", strides),
        ("dilations", dilations),
        ("kernel_shape", kernel),
        ("group", values.get("group", 1)),
    ):
        set_attribute(node, name, value)
    return bool(mode != "NOTSET")


def _merge(graph: Graph, node: onnx.NodeProto) -> bool:
    pads, value = graph.operand(node, 1), graph.operand(node, 2)
    plain = attributes(node).get("mode", "constant") == "constant" and len(node.input) < 4
    zero = value is None or value.size == 0 or float(value.ravel()[0]) == 0.0
    if pads is None or pads.size != 8 or not plain or not zero:
        return False
    if len(node.input) > 2 and node.input[2] and value is None:
        return False
    amounts = [int(p) for p in pads.ravel()]
    if any(amounts[i] for i in (0, 1, 4, 5)) or min(amounts) < 0 or node.output[0] == graph.output:
        return False
    users = graph.consumers(node.output[0])
    if not users or any(
        u.op_type != "Conv"
        or u.input[0] != node.output[0]
        or "pads" not in attributes(u)
        or list(u.input).count(node.output[0]) != 1
        for u in users
    ):
        return False
    for user in users:
        own = attributes(user)["pads"]
        set_attribute(user, "pads", [a + b for a, b in zip(own, amounts[2:4] + amounts[6:8], strict=True)])
        user.input[0] = node.input[0]
    graph.touch()
    return True
