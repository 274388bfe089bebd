"""Further families of networks that people deploy, by chance weights: those that nobody times, but that must run.

They too add a small residual to an enlargement of their input.
"""

from __future__ import annotations

import numpy as np
import onnx

from families import gelu
from graphs import LAST, Graph, ending, enlarged


def esa(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """RLFN with its attention as published: a picture of about a sixth, which knows nothing of borders, and back to the
    size that there was.
    """
    graph = Graph(features)
    few = max(features // 4, 4)
    first = x = graph.conv("input", 3, features, 3)
    for _ in range(layers):
        inner = graph.add("LeakyRelu", graph.conv(x, features, features, 3), alpha=0.05)
        inner = graph.conv(graph.add("Add", inner, x), features, features, 1)
        narrow = graph.conv(inner, features, few, 1)
        half = graph.conv(narrow, few, few, 3, strides=[2, 2], pads=[0] * 4)
        sixth = graph.add("MaxPool", half, kernel_shape=[7, 7], strides=[3, 3])
        wide = as_large_as(graph, graph.conv(sixth, few, few, 3), narrow)
        both = graph.add("Add", wide, graph.conv(narrow, few, few, 1))
        x = graph.add("Mul", inner, graph.add("Sigmoid", graph.conv(both, few, features, 1)))
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST / 2), scale)


def as_large_as(graph: Graph, x: str, other: str) -> str:
    """``x`` interpolated to the size of ``other``, as PyTorch's exporter writes it."""
    channels = graph.add("Shape", x, start=0, end=2)
    sizes = graph.add("Concat", channels, graph.add("Shape", other, start=2, end=4), axis=0)
    return graph.add("Resize", x, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")


def rcan(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """RCAN (Zhang et al., 2018): residual blocks whose channels are weighed by the mean of the picture."""
    graph = Graph(features)
    few = max(features // 4, 2)
    first = x = graph.conv("input", 3, features, 3)
    for _ in range(layers):
        inner = graph.add("Relu", graph.conv(x, features, features, 3))
        inner = graph.conv(inner, features, features, 3)
        narrow = graph.add("Relu", graph.conv(graph.add("GlobalAveragePool", inner), features, few, 1))
        weight = graph.add("Sigmoid", graph.conv(narrow, few, features, 1))
        x = graph.add("Add", graph.add("Mul", inner, weight), x)
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def cbam(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Residual blocks with spatial attention (CBAM, Woo et al., 2018): a map of what the mean and the largest of each
    pixel's features are.
    """
    graph = Graph(features)
    first = x = graph.conv("input", 3, features, 3)
    for _ in range(layers):
        inner = graph.add("Relu", graph.conv(x, features, features, 3))
        inner = graph.conv(inner, features, features, 3)
        both = [graph.add(kind, inner, axes=[1]) for kind in ("ReduceMean", "ReduceMax")]
        weight = graph.add("Sigmoid", graph.conv(graph.add("Concat", *both, axis=1), 2, 1, 7, 4.0))
        x = graph.add("Add", graph.add("Mul", inner, weight), x)
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def convnext(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Blocks of ConvNeXt (Liu et al., 2022), as PyTorch exports them: normalization and matrices on channels last."""
    graph = Graph(features)
    first = x = graph.conv("input", 3, features, 3)
    for _ in range(layers):
        inner = graph.conv(x, 1, features, 7, group=features)
        inner = graph.add("Transpose", inner, perm=[0, 2, 3, 1])
        gains, offsets = (graph.constant(graph.normal((features,), spread) + middle) for spread, middle in GAINS)
        inner = graph.add("LayerNormalization", inner, gains, offsets, axis=-1)
        inner = gelu(graph, matrix(graph, inner, features, 2 * features))
        inner = graph.add("Mul", matrix(graph, inner, 2 * features, features), graph.number(0.2))
        x = graph.add("Add", x, graph.add("Transpose", inner, perm=[0, 3, 1, 2]))
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


GAINS = ((0.1, 1.0), (0.1, 0.0))
"""How far from what the gains and the offsets of a normalization are."""


def matrix(graph: Graph, x: str, before: int, after: int) -> str:
    """``x`` (1, h, w, before) times a matrix, and a bias added."""
    weights = graph.constant(graph.normal((before, after), (2 / before) ** 0.5))
    return graph.add("Add", graph.add("MatMul", x, weights), graph.constant(np.zeros(after, np.float32)))


def unet(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """A U-Net (Ronneberger et al., 2015): down by the largest of four pixels, up again, with skips that are joined."""
    graph = Graph(features)
    x = graph.add("Relu", graph.conv("input", 3, features, 3))
    skips = []
    for level in range(layers):
        skips.append(x)
        small = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = graph.add("Relu", graph.conv(small, features << level, features << (level + 1), 3))
    for level in reversed(range(layers)):
        wide = features << level
        weights = graph.constant(graph.normal((2 * wide, wide, 2, 2), (1 / wide) ** 0.5))
        up = graph.add("ConvTranspose", x, weights, strides=[2, 2])
        joined = graph.add("Concat", skips[level], up, axis=1)
        x = graph.add("Relu", graph.conv(joined, 2 * wide, wide, 3))
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def plainusr(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Much as PlainUSR (Wang et al., 2024): plain convolutions and an attention that looks at averages of a third, with
    a mean where the original weighs its window's pixels, and a gate of the first channel.
    """
    graph = Graph(features)
    few = max(features // 2, 4)
    first = x = graph.conv("input", 3, features, 3)
    for _ in range(layers):
        x = graph.add("Relu", graph.conv(x, features, features, 3))
        pooled = graph.add("AveragePool", graph.conv(x, features, few, 1), kernel_shape=[7, 7], strides=[3, 3])
        small = graph.conv(pooled, few, few, 3, strides=[2, 2])
        wide = as_large_as(graph, graph.add("Sigmoid", graph.conv(small, few, features, 3)), x)
        index = graph.indices([0])
        gate = graph.add("Sigmoid", graph.add("Gather", x, index, axis=1))
        x = graph.add("Mul", graph.add("Mul", x, wide), gate)
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def srcnn(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """SRCNN (Dong et al., 2014): a cubic enlargement first, then 9-1-5."""
    graph = Graph(features)
    large = cubic(graph, scale)
    x = graph.add("Relu", graph.conv(large, 3, features, 9))
    for _ in range(layers):
        x = graph.add("Relu", graph.conv(x, features, features, 1))
    graph.add("Add", graph.conv(x, features, 3, 5, LAST), large)
    return ending(graph)


def vdsr(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """VDSR (Kim et al., 2016): 3x3 convolutions on a cubic enlargement, to which their result is added."""
    graph = Graph(features)
    large = x = cubic(graph, scale)
    before = 3
    for _ in range(layers):
        x, before = graph.add("Relu", graph.conv(x, before, features, 3)), features
    graph.add("Add", graph.conv(x, features, 3, 3, LAST), large)
    return ending(graph)


def cubic(graph: Graph, scale: int) -> str:
    """The cubic enlargement of the input."""
    return graph.resize("input", scale, mode="cubic", coordinate_transformation_mode="half_pixel")


def esrgan(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Real-ESRGAN x2 (Wang et al., 2021): pixels unshuffled by two, dense blocks, and twice up by nearest neighbours;
    of another scale by as many steps more or less.
    """
    graph = Graph(features)
    grown = max(features // 2, 4)
    small = graph.add("SpaceToDepth", "input", blocksize=2)
    first = x = graph.conv(small, 12, features, 3)
    for _ in range(layers):
        inner, parts, width = x, [x], features
        for _ in range(2):
            inner = graph.add("LeakyRelu", graph.conv(inner, width, grown, 3), alpha=0.2)
            parts, width = [*parts, inner], width + grown
            inner = graph.add("Concat", *parts, axis=1)
        inner = graph.add("Mul", graph.conv(inner, width, features, 3), graph.number(0.2))
        x = graph.add("Add", inner, x)
    x = graph.add("Add", graph.conv(x, features, features, 3), first)
    for _ in range(int(np.log2(2 * scale))):
        x = graph.add("LeakyRelu", graph.conv(graph.nearest(x, 2), features, features, 3), alpha=0.2)
    residual = graph.conv(x, features, 3, 3, LAST)
    graph.add("Add", residual, graph.linear("input", scale))
    return ending(graph)


def dncnn(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """DnCNN (Zhang et al., 2017), which restores a picture of the same size: what is taken away from it is computed."""
    graph = Graph(features)
    x = graph.add("Relu", graph.conv("input", 3, features, 3))
    for _ in range(layers):
        x = graph.add("Relu", graph.conv(x, features, features, 3))
    noise = graph.conv(x, features, 3, 3, LAST)
    graph.add("Sub", "input", noise)
    if scale > 1:
        raise ValueError("this network keeps the picture's size")
    return ending(graph)
