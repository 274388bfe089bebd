"""Re-parameterized super-resolution networks in the form in which they are trained: linear branches, not yet merged.

The blocks are those of SESR (arXiv 2103.09404), ECBSR (ACM MM 2021) and RepVGG (arXiv 2101.03697), written down from
their equations. Each network has a plain twin with the same operators as the merged one, other weights.
"""

from __future__ import annotations

import numpy as np
import onnx

from tests.sr_models import Builder

SOBEL_X = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float64)
MASKS = {
    "sobel x": SOBEL_X,
    "sobel y": SOBEL_X.T,
    "laplacian": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float64),
}


def add(b: Builder, parts: list[str], out: str = "") -> str:
    """A chain of Add."""
    value = parts[0]
    for i, part in enumerate(parts[1:], 2):
        value = b.node("Add", value, part, out=out if i == len(parts) else "")
    return value


def valid(b: Builder, x: str, cin: int, cout: int, k: int, *, bias: float = 0.1, pads: int = 0) -> str:
    """A convolution with plain random weights and explicit padding."""
    w = b.rng.normal(0, 1 / np.sqrt(cin * k * k), (cout, cin, k, k))
    names = [x, b.const(w, stem="weight")]
    if bias:
        names.append(b.const(b.rng.normal(0, bias, cout), stem="bias"))
    return b.node("Conv", *names, kernel_shape=[k, k], pads=[pads] * 4)


def mask(b: Builder, x: str, channels: int, name: str, *, pads: int = 0) -> str:
    """A constant mask times a learned scale for each channel, plus a bias, as a depthwise convolution."""
    scale = b.const(b.rng.normal(0, 0.2, (channels, 1, 1, 1)), stem="scale")
    kernels = b.const(np.broadcast_to(MASKS[name], (channels, 1, 3, 3)), stem="mask")
    bias = b.const(b.rng.normal(0, 0.1, channels), stem="bias")
    return b.node("Conv", x, b.node("Mul", scale, kernels), bias, kernel_shape=[3, 3], pads=[pads] * 4, group=channels)


def zeros_around(b: Builder, x: str, amount: int) -> str:
    return b.node("Pad", x, b.const([0, 0, amount, amount] * 2, np.int64))


def ecb(b: Builder, x: str, cin: int, cout: int, *, expand: int = 2, exact: bool = True) -> str:
    """An edge-oriented block. Exact: pictures are padded in front of the 1x1s, so that what they make there is their
    bias, as the method wants it; otherwise each 3x3 pads with zeros, which is something else.
    """
    pads = 0 if exact else 1

    def first(outputs: int) -> str:
        return valid(b, zeros_around(b, x, 1) if exact else x, cin, outputs, 1)

    parts = [valid(b, x, cin, cout, 3, pads=1), valid(b, first(expand * cout), expand * cout, cout, 3, pads=pads)]
    parts += [mask(b, first(cout), cout, name, pads=pads) for name in MASKS]
    return add(b, [*parts, x] if cin == cout else parts)


def sesr_block(b: Builder, x: str, cin: int, cout: int, *, k: int = 3, expand: int = 64) -> str:
    """A collapsible linear block: k x k up to ``expand`` channels, 1x1 down, and the identity."""
    y = valid(b, valid(b, x, cin, expand, k, pads=k // 2), expand, cout, 1)
    return b.node("Add", y, x) if cin == cout else y


def batch_norm(b: Builder, x: str, channels: int) -> str:
    def vector(low: float, high: float) -> str:
        return b.const(b.rng.uniform(low, high, channels), stem="norm")

    return b.node("BatchNormalization", x, vector(0.5, 1.5), vector(-0.2, 0.2), vector(-0.2, 0.2), vector(0.5, 2))


def repvgg_block(b: Builder, x: str, channels: int, *, groups: int = 1) -> str:
    """3x3, 1x1 and identity, each followed by a batch normalization."""
    parts = [batch_norm(b, b.conv(x, channels, channels, k, groups=groups, bias=0), channels) for k in (3, 1)]
    return add(b, [*parts, batch_norm(b, x, channels)])


def network(
    kind: str,
    *,
    merged: bool,
    scale: int = 2,
    features: int = 8,
    blocks: int = 2,
    seed: int = 0,
    exact: bool = True,
    groups: int = 1,
) -> onnx.ModelProto:
    """ "ecb", "sesr" or "repvgg" on Y, 0..1, expanded or (``merged``) with a single convolution for each block."""
    b = Builder(seed)
    out = scale * scale

    def block(x: str, cin: int, cout: int, k: int = 3) -> str:
        if merged:
            return b.conv(x, cin, cout, k, groups=groups if cin == cout else 1)
        if kind == "sesr":
            return sesr_block(b, x, cin, cout, k=k)
        if kind == "ecb":
            return ecb(b, x, cin, cout, exact=exact)
        return repvgg_block(b, x, cin, groups=groups) if cin == cout else b.conv(x, cin, cout, k)

    wide = 5 if kind == "sesr" else 3
    first = x = b.prelu(block("input", 1, features, wide), features)
    for _ in range(blocks):
        x = b.prelu(block(x, features, features), features)
    if kind == "sesr":
        x = b.node("Add", x, first)
    x = b.node("Add", block(x, features, out, wide), "input")
    b.clip(b.depth_to_space(x, scale), 0.0, 1.0, out="output")
    return b.model(1, scale, name=kind)


def filled(b: Builder, x: str, channels: int, size: tuple[int, int], fill: np.ndarray) -> str:
    """x of a fixed size (h, w) with one row and column around it, written by index as exporters do.

    ``fill`` has the shape (channels,), or (channels, n) for numbers that change along the border.
    """
    height, width = size[0] + 2, size[1] + 2

    def numbers(count: int) -> str:
        values = fill.reshape(channels, 1, -1) if fill.ndim == 1 else fill[:, None, :count]
        return b.const(np.broadcast_to(values, (channels, 1, count)), stem="fill")

    def written(y: str, perm: list[int], last: int, count: int) -> str:
        y = b.node("Transpose", y, perm=perm)
        for index in (0, last):
            updates = b.node("Transpose", b.node("Unsqueeze", numbers(count), b.const([0], np.int64)), perm=perm)
            y = b.node("ScatterND", y, b.const([[index]], np.int64), updates)
        return b.node("Transpose", y, perm=[int(i) for i in np.argsort(perm)])

    y = written(zeros_around(b, x, 1), [2, 0, 1, 3], height - 1, width)
    y = b.node("Transpose", y, perm=[0, 1, 3, 2])
    y = written(y, [2, 0, 1, 3], width - 1, height)
    return b.node("Transpose", y, perm=[0, 1, 3, 2])
