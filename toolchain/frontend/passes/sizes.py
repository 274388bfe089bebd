"""Sizes that were fixed or computed from the picture become factors and paddings.

After: Resize by whole factors has ``scales`` instead of ``sizes``; a Slice that only trims a transposed convolution is
part of its padding; a Slice that keeps everything is gone.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import operands, shapes
from toolchain.frontend.properties import CHANNELS_FIRST, EXPLICIT_PADS, RESIZE_BY_FACTORS
from toolchain.support.errors import ModelError

UNIT = 12
"""The other size at which a graph is looked at differs by multiples of this."""


@graph_pass(
    requires=(
        CHANNELS_FIRST,
        EXPLICIT_PADS,
    ),
    ensures=(RESIZE_BY_FACTORS,),
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    if not any(n.op_type in ("Resize", "Slice") for n in graph.nodes):
        return facts
    sizes = shapes(graph)
    others = {} if facts.interface.fixed else _elsewhere(graph)
    done = []
    for node in list(graph.nodes):
        shape, out = sizes.get(node.input[0] if node.input else ""), sizes.get(node.output[0])
        if shape is None or out is None or len(shape) != 4 or len(out) != 4:
            continue
        if node.op_type == "Resize" and _whole_crop(graph, node):
            done.append("took a Resize of all that it crops for one of the picture")
        if node.op_type == "Resize" and _resize(graph, node, shape, out, others):
            done.append("gave Resize a factor instead of a size")
        elif node.op_type == "Resize" and _to_picture(graph, node, out, others):
            done.append("gave Resize the picture's size")
        elif node.op_type == "Slice" and _forward(graph, node):
            whole = shape == out
            if (whole or _trim(graph, node, shape, out, sizes)) and graph.bypass(node):
                done.append("removed a crop that keeps everything" if whole else "made a crop part of the padding")
    graph.tidy()
    return facts.said(", ".join(dict.fromkeys(done)))


Shapes: TypeAlias = dict[str, tuple[int, ...]]


def _elsewhere(graph: Graph) -> Shapes:
    """Return the shapes of all values for a picture of another size; none where the graph takes none."""
    probe = graph.probe
    graph.probe = (*probe[:2], probe[2] + 6 * UNIT, probe[3] + 10 * UNIT)
    try:
        return shapes(graph)
    except ModelError:
        return {}
    finally:
        graph.probe = probe


def _to_picture(graph: Graph, node: onnx.NodeProto, out: tuple[int, ...], others: Shapes) -> bool:
    """Compute the size of a Resize that follows the input's from that alone."""
    times, left = divmod(out[2], graph.probe[2])
    other, height, width = others.get(node.output[0]), *graph.probe[2:]
    if left or times < 1 or out[3] != times * width or len(node.input) < 4 or not node.input[3]:
        return False
    if (
        graph.operand(node, 3) is None
        and other is not None
        and other[2:] != (times * (height + 6 * UNIT), times * (width + 10 * UNIT))
    ):
        return False
    target = node.output[0]
    size = graph.add("Shape", [graph.input], graph.fresh(f"{target}_sides"), start=2, end=4).output[0]
    if times > 1:
        factor = graph.add_constant([times, times], f"{target}_times", np.int64)
        size = graph.add("Mul", [size, factor], graph.fresh(f"{target}_sides")).output[0]
    channels = graph.add_constant(out[:2], f"{target}_channels", np.int64)
    sizes = graph.add("Concat", [channels, size], graph.fresh(f"{target}_size"), axis=0).output[0]
    node.input[:] = [node.input[0], "", "", sizes]
    set_attribute(node, "keep_aspect_ratio_policy", None)
    graph.touch()
    return True


def _resize(graph: Graph, node: onnx.NodeProto, shape: tuple[int, ...], out: tuple[int, ...], others: Shapes) -> bool:
    other, larger = others.get(node.input[0]), others.get(node.output[0])
    computed = len(node.input) < 4 or graph.operand(node, 3) is None
    if (
        computed
        and other
        and larger
        and any(o * b != s * a for s, o, a, b in zip(shape, out, larger, other, strict=True))
    ):
        return False  # the size of another tensor, which is a multiple by chance
    if graph.operand(node, 2) is not None and len(node.input) == 3:
        return False
    if shape[:2] != out[:2] or any(o % s for s, o in zip(shape, out, strict=True)):
        return False
    if attributes(node).get("axes") or attributes(node).get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return False
    factors = [o / s for s, o in zip(shape, out, strict=True)]
    del node.input[1:]
    node.input.extend(["", graph.add_constant(np.array(factors), f"{node.output[0]}_scales")])
    set_attribute(node, "keep_aspect_ratio_policy", None)
    graph.touch()
    return True


def _whole_crop(graph: Graph, node: onnx.NodeProto) -> bool:
    """Let what crops the picture by shares of its size, and takes all of it, align corners, which is the same.

    Raises:
        ModelError: it takes a part.
    """
    if attributes(node).get("coordinate_transformation_mode") != "tf_crop_and_resize":
        return False
    shares = graph.operand(node, 1)
    if shares is None or shares.ravel().tolist() != [0, 0, 0, 0, 1, 1, 1, 1]:
        raise ModelError(
            f"operator Resize '{node.name}' enlarges a part of the picture (tf_crop_and_resize)",
            hint="cut with Slice, and enlarge by another way to place pixels, such as 'half_pixel'",
        )
    set_attribute(node, "coordinate_transformation_mode", "align_corners")
    node.input[1] = ""
    graph.touch()
    return True


def _forward(graph: Graph, node: onnx.NodeProto) -> bool:
    """All steps are one."""
    if len(node.input) < 5 or not node.input[4]:
        return True
    steps = graph.operand(node, 4)
    return steps is not None and bool((steps == 1).all())


def _trim(
    graph: Graph, node: onnx.NodeProto, shape: tuple[int, ...], out: tuple[int, ...], sizes: dict[str, tuple[int, ...]]
) -> bool:
    """Make a crop of a transposed convolution to ``stride`` times its input part of its padding."""
    conv = graph.sole_producer(node.input[0], "ConvTranspose")
    source = sizes.get(conv.input[0]) if conv is not None else None
    if conv is None or source is None or "pads" not in attributes(conv):
        return False
    values = attributes(conv)
    if shape[:2] != out[:2] or any(out[2 + i] != source[2 + i] * values["strides"][i] for i in (0, 1)):
        return False
    given = operands(graph, [n for n in node.input[1:] if n])
    axes = [int(a) % 4 for a in given[node.input[3]].ravel()] if len(node.input) > 3 and node.input[3] else range(4)
    starts = dict(zip(axes, (int(v) for v in given[node.input[1]].ravel()), strict=False))
    begin = [starts.get(2 + i, 0) for i in (0, 1)]
    begin = [b + shape[2 + i] if b < 0 else b for i, b in enumerate(begin)]
    end = [shape[2 + i] - begin[i] - out[2 + i] for i in (0, 1)]
    set_attribute(conv, "pads", [p + t for p, t in zip(values["pads"], begin + end, strict=True)])
    return True
