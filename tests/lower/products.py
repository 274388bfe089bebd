"""Quantized networks with products, extremes, normalization and global pooling, for whatever runs them."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from tests.lower.nets import FINE, PIXEL, Act, Net, Tensor

Ending = Callable[[Net], Tensor]


def plain(net: Net, channels: int = 8, **options: object) -> Tensor:
    return net.conv(net.input, channels, **options)


PRODUCTS: dict[str, Ending] = {
    "product": lambda net: net.pair("Mul", plain(net, zero=90), plain(net, zero=30), scale=PIXEL / 3, zero=100),
    "product, ReLU": lambda net: net.pair("Mul", plain(net, zero=90), plain(net, zero=30), after=Act("Relu")),
    "product, PReLU": lambda net: net.pair(
        "Mul", plain(net, 5, zero=90), plain(net, 5, zero=130), after=Act("PRelu"), scale=PIXEL / 3, zero=80
    ),
    "square": lambda net: (lambda a: net.pair("Mul", a, a, scale=PIXEL / 2))(plain(net, zero=140)),
    "of one channel": lambda net: net.pair("Mul", plain(net, 1), plain(net, zero=20), zero=30),
    "odd parts": lambda net: (lambda c: net.pair("Mul", c, net.conv(c, 11, 1), scale=PIXEL / 2, zero=9))(
        net.concat(plain(net, 5, zero=9), plain(net, 6, zero=9), zero=9)
    ),
    "written in place": lambda net: net.concat(net.pair("Mul", plain(net, 5), plain(net, 5)), plain(net, 6)),
    "16 bits": lambda net: net.pair(
        "Mul",
        plain(net, scale=FINE, zero=117 * 257),
        plain(net, scale=FINE, zero=35 * 257),
        scale=FINE / 3,
        zero=78 * 257,
    ),
    "16 and 8 bits": lambda net: net.pair("Mul", plain(net, scale=FINE, zero=117 * 257), plain(net, zero=9), zero=70),
    "smaller": lambda net: net.pair("Min", plain(net, zero=90), plain(net, scale=PIXEL * 1.3, zero=30), zero=100),
    "larger, LeakyReLU": lambda net: net.pair(
        "Max", plain(net, zero=150), plain(net, zero=90), after=Act("LeakyRelu"), zero=30
    ),
    "larger of 16 bits": lambda net: net.pair(
        "Max", plain(net, scale=FINE, zero=3 * 257), plain(net, 1), scale=FINE, zero=257
    ),
    "smaller than the input": lambda net: net.pair("Min", net.input, plain(net, 3, zero=20)),
    "normalized": lambda net: net.normalized(plain(net, zero=90), zero=70),
    "normalized in place": lambda net: net.concat(net.normalized(plain(net, 5)), plain(net, 6)),
    "normalized odd parts": lambda net: (lambda c: net.add(c, net.normalized(c, scale=PIXEL * 2, epsilon=0.01)))(
        net.concat(plain(net, 5, zero=9), plain(net, 6, zero=9), zero=9)
    ),
    "normalized, 16 bits": lambda net: net.normalized(
        plain(net, 18, scale=FINE, zero=117 * 257), scale=FINE, zero=60 * 257
    ),
    "normalized, of 16 bits": lambda net: net.normalized(plain(net, 3, scale=FINE), zero=9, epsilon=1e-12),
}
"""Rows stream through these."""

CHANNEL_POOLED: dict[str, Ending] = {
    "largest channel": lambda net: net.pair("Mul", net.pooled_channels(plain(net, zero=90), zero=9), plain(net)),
    "smallest channel, ReLU": lambda net: net.add(
        plain(net, 7), net.pooled_channels(plain(net, 11, zero=130), "ReduceMin", act=Act("Relu"), scale=PIXEL / 2)
    ),
    "of three and less, in place": lambda net: net.concat(
        net.pooled_channels(net.input),
        net.pooled_channels(plain(net, 2, zero=40), "ReduceMin", zero=40),
        net.pooled_channels(plain(net, 1, zero=70), zero=30),
    ),
    "of odd parts": lambda net: net.pair(
        "Mul",
        plain(net),
        net.pooled_channels(net.concat(plain(net, 5, zero=9), plain(net, 6, zero=9), zero=9), zero=20),
    ),
    "largest channel, 16 bits": lambda net: net.pair(
        "Mul", plain(net), net.pooled_channels(plain(net, 18, scale=FINE, zero=117 * 257), scale=FINE, zero=60 * 257)
    ),
    "smallest channel of 16 bits": lambda net: net.add(
        net.pooled_channels(plain(net, 6, scale=FINE, zero=99 * 257), "ReduceMin", zero=9), plain(net)
    ),
    "16 bits of 8": lambda net: net.add(
        net.concat(
            net.pooled_channels(plain(net, 9, zero=60), scale=FINE, zero=50 * 257),
            net.conv(plain(net), 1, 1, scale=FINE, zero=50 * 257),
            scale=FINE,
            zero=50 * 257,
        ),
        plain(net, 2),
        scale=PIXEL * 2,
    ),
}
"""Through these too: what spatial attention is made of."""

PRODUCTS.update(CHANNEL_POOLED)


def attended(net: Net, x: Tensor, act: Act | None = None, scale: float = PIXEL) -> Tensor:
    """Channel attention without its sigmoid."""
    few = net.conv(net.pooled(x, scale=scale), 4, 1, act=Act("Relu"), scale=scale)
    return net.pair("Mul", net.conv(few, x.channels, 1, zero=40, act=act), x, scale=PIXEL / 2, zero=60)


def contrast(net: Net) -> Tensor:
    """Pooled twice, the second time what depends on the first, and added."""
    x = plain(net, zero=60)
    mean = net.pooled(x, zero=60)
    squared = (lambda a: net.pair("Mul", a, a))(net.add(x, net.conv(mean, 8, 1, zero=80), zero=100))
    return net.pair("Mul", x, net.add(net.pooled(squared), mean, zero=9), zero=70)


POOLED: dict[str, Ending] = {
    "attention": lambda net: attended(net, plain(net, zero=70)),
    "attention of 16 bits": lambda net: attended(net, plain(net, scale=FINE, zero=12 * 257), scale=FINE),
    "attention, PReLU": lambda net: attended(net, plain(net, 6), Act("PRelu")),
    "attention twice": lambda net: attended(net, net.conv(attended(net, plain(net)), 8)),
    "the largest": lambda net: net.pair("Mul", plain(net), net.pooled(plain(net, zero=9), "GlobalMaxPool", zero=30)),
    "the largest of 16 bits": lambda net: net.add(
        plain(net), net.pooled(plain(net, scale=FINE, zero=4 * 257), "GlobalMaxPool"), scale=PIXEL * 2
    ),
    "ReLU": lambda net: net.add(plain(net), net.pooled(plain(net, zero=120), act=Act("Relu")), scale=PIXEL * 2),
    "both, side by side": lambda net: (
        lambda x: net.pair(
            "Max", x, net.conv(net.concat(net.pooled(x), net.pooled(x, "GlobalMaxPool")), 8, 1, zero=20), zero=9
        )
    )(plain(net, 5 + 3)),
    "of the input": lambda net: net.pair("Min", net.conv(net.pooled(net.input), 8, 3, zero=9), plain(net)),
    "an offset": lambda net: net.add(
        plain(net), net.conv(net.pooled(plain(net)), 8, 1, residual=net.pooled(plain(net)))
    ),
    "of odd parts": lambda net: (lambda c: net.pair("Mul", c, net.pooled(c), scale=PIXEL / 2, zero=9))(
        net.concat(plain(net, 5, zero=9), plain(net, 6, zero=9), zero=9)
    ),
    "enlarged first": lambda net: attended(net, net.shuffled(plain(net, 32), 2, "DCR")),
    "contrast": contrast,
}
"""These look at the whole picture."""


def finished(end: Ending, scale: int = 1) -> onnx.ModelProto:
    """The network that ends in a convolution of ``end``."""
    net = Net()
    return net.model(net.conv(end(net), 3 * scale**2), scale)
