"""Families of networks that people deploy, by chance weights: each with the operators that set it apart.

All but waifu2x's add a small residual to the nearest enlargement of their input, so that a result can be judged.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from graphs import LAST, Graph, ending, enlarged


def srvgg(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """The compact network of Real-ESRGAN (Wang et al., 2021): 3x3 convolutions and PReLUs onto the nearest pixels."""
    graph = Graph(features)
    x = "input"
    for before in (3, *[features] * layers):
        slopes = graph.constant(np.full((features, 1, 1), 0.2, np.float32))
        x = graph.add("PRelu", graph.conv(x, before, features, 3), slopes)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def pointwise(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Pairs of 1x1 convolutions, to twice as many features and back, between two of 3x3."""
    graph = Graph(features)
    x = graph.add("Relu", graph.conv("input", 3, features, 3))
    for _ in range(layers):
        wide = graph.add("Relu", graph.conv(x, features, 2 * features, 1))
        x = graph.add("Relu", graph.conv(wide, 2 * features, features, 1))
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def span(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """SPAN (Wan et al., 2023): blocks of three convolutions whose result is multiplied by an odd function of itself."""
    graph = Graph(features)
    first = graph.conv("input", 3, features, 3)
    x, blocks, inner = first, [], first
    for _ in range(layers):
        inner = graph.conv(x, features, features, 3)
        behind = graph.conv(silu(graph, inner), features, features, 3)
        third = graph.conv(silu(graph, behind), features, features, 3, 2.0)
        attention = graph.add("Sub", graph.add("Sigmoid", third), graph.number(0.5))
        x = graph.add("Mul", graph.add("Add", third, x), attention)
        blocks.append(x)
    joined = graph.add("Concat", first, graph.conv(x, features, features, 3), blocks[0], inner, axis=1)
    out = graph.conv(joined, 4 * features, features, 1)
    return enlarged(graph, graph.conv(out, features, 3 * scale**2, 3, LAST), scale)


def silu(graph: Graph, x: str) -> str:
    """x * sigmoid(x), as it is exported."""
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def rlfn(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Much as RLFN (Kong et al., 2022): residual blocks that end in enhanced spatial attention.

    Its attention goes down by 4, where the original goes by 2 and by 3 and forgets the picture's borders.
    """
    graph = Graph(features)
    first = x = graph.conv("input", 3, features, 3)
    for _ in range(layers):
        inner = x
        for gain in (1.0, 1.0, 0.5):
            inner = graph.add("LeakyRelu", graph.conv(inner, features, features, 3, gain), alpha=0.05)
        x = esa(graph, graph.conv(graph.add("Add", inner, x), features, features, 1), features)
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST / 4), scale)


def esa(graph: Graph, x: str, features: int, few: int = 16) -> str:
    """Enhanced spatial attention: ``x`` times a function of itself that is looked up in a smaller picture."""
    narrow = graph.conv(x, features, few, 1)
    half = graph.conv(narrow, few, few, 3, strides=[2, 2])
    quarter = graph.add("MaxPool", half, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    wide = graph.linear(graph.conv(quarter, few, few, 3), 4)
    both = graph.add("Add", wide, graph.conv(narrow, few, few, 1))
    return graph.add("Mul", x, graph.add("Sigmoid", graph.conv(both, few, features, 1)))


def rt4ksr(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Much as RT4KSR (Zamfir et al., 2023), without its normalization of layers: on pixels unshuffled by two, what a
    blur leaves goes a way of its own; blocks with GELU and channel attention follow."""
    graph = Graph(features)
    small = graph.add("SpaceToDepth", "input", blocksize=2)
    blur = graph.constant(np.full((12, 1, 3, 3), 1 / 9, np.float32))
    fine = graph.add("Sub", small, graph.add("Conv", small, blur, group=12, pads=[1] * 4))
    x = graph.add("Add", graph.conv(small, 12, features, 3), graph.conv(fine, 12, features, 3))
    for _ in range(layers):
        inner = graph.conv(x, features, features, 3)
        inner = graph.conv(gelu(graph, inner), features, features, 3, 0.5)
        mean = graph.add("GlobalAveragePool", inner)
        weight = graph.add("Sigmoid", graph.conv(mean, features, features, 1))
        x = graph.add("Add", graph.add("Mul", inner, weight), x)
    return enlarged(graph, graph.conv(x, features, 3 * (2 * scale) ** 2, 3, LAST / 2), scale, down=2)


def gelu(graph: Graph, x: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)), as it is exported."""
    erf = graph.add("Erf", graph.add("Div", x, graph.number(2**0.5)))
    return graph.add("Mul", graph.add("Mul", x, graph.add("Add", erf, graph.number(1.0))), graph.number(0.5))


def bicubicpp(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Bicubic++ (Bilecen and Ayazoglu, 2023): half the picture's size, few convolutions, one shuffle up."""
    graph = Graph(features)
    first = x = graph.add("LeakyRelu", graph.conv("input", 3, features, 3, strides=[2, 2]), alpha=0.1)
    for _ in range(layers):
        x = graph.add("LeakyRelu", graph.conv(x, features, features, 3), alpha=0.1)
    x = graph.add("Add", x, first)
    return enlarged(graph, graph.conv(x, features, 3 * (2 * scale) ** 2, 3, LAST / 2), scale, down=2)


def upconv(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """waifu2x's upconv7 (Nagadomi, 2016) where 16 features and 7 layers are asked for: convolutions without padding,
    ever wider, and a transposed one. Three channels of each hand on the picture, so that it is there at the end."""
    graph = Graph(features)
    widths = [features * 2**doublings for doublings in (0, 1, 2, 3, 3, *[4] * layers)[: layers - 1]]
    x, before = "input", 3
    for width in widths:
        x = graph.add("LeakyRelu", graph.conv(x, before, width, 3, pads=[0] * 4), alpha=0.1)
        weights = numpy_helper.to_array(graph.constants[-2]).copy()
        weights[:3] = 0
        weights[range(3), range(3), 1, 1] = 1
        graph.constants[-2].CopyFrom(numpy_helper.from_array(weights, graph.constants[-2].name))
        before = width
    last = graph.normal((before, 3, 2 * scale, 2 * scale), LAST / 4 * (2 / before) ** 0.5)
    last[range(3), range(3), scale - 1 : 2 * scale - 1, scale - 1 : 2 * scale - 1] = 1
    graph.add("ConvTranspose", x, graph.constant(last), strides=[scale] * 2, pads=[2 * scale - 1] * 4)
    return ending(graph)
