"""Compiled networks equal the integer reference, bit for bit: one small net for every structure the lowering knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lower.compiled import assert_equal, compiled
from tests.lower.nets import FINE, PIXEL, Act, Net, Tensor
from toolchain.lower.memory import storages
from toolchain.support.errors import ModelError
from toolchain.targets import find_target

Ending = Callable[[Net], Tensor]


def finished(end: Ending, channels: int = 3, scale: int = 1) -> onnx.ModelProto:
    """The network that ``end`` builds, with a last convolution to three channels behind it."""
    net = Net(channels)
    return net.model(net.conv(end(net), 3 * scale**2), scale)


def plain(net: Net, channels: int = 8, **options: object) -> Tensor:
    return net.conv(net.input, channels, **options)  # type: ignore[arg-type]


def pair(net: Net, first: int, second: int) -> tuple[Tensor, Tensor]:
    return net.conv(net.input, first), net.conv(net.input, second, 1)


def concat_of_a_concat(net: Net) -> Tensor:
    inner = net.concat(*pair(net, 5, 6))
    return net.concat(inner, net.conv(inner, 7, 1))


def one_tensor_in_two_concats(net: Net) -> Tensor:
    a = plain(net, 4)
    b = net.conv(a, 4)
    first, second = net.concat(a, b), net.concat(b, a, net.input)
    return net.conv(second, 8, residual=net.conv(first, 8, 1))


def parts_with_other_readers(net: Net) -> Tensor:
    a = plain(net, 5)
    b = net.conv(a, 5, residual=a)
    c = net.conv(b, 5, residual=a)
    return net.add(net.conv(net.concat(a, b, c), 5, 1), b)


def part_read_after_its_concat(net: Net) -> Tensor:
    a, b = pair(net, 4, 4)
    joined = net.conv(net.concat(a, b), 4, 1)
    return net.conv(net.add(joined, a), 4, residual=b)


CONCATS: dict[str, Ending] = {
    "two": lambda net: net.concat(*pair(net, 8, 4)),
    "channels not multiples of four": lambda net: net.concat(*pair(net, 5, 6)),
    "channels counted from the last axis": lambda net: net.concat(*pair(net, 5, 6), axis=-3),
    "concat of a concat": concat_of_a_concat,
    "one tensor in two concats": one_tensor_in_two_concats,
    "parts with other readers": parts_with_other_readers,
    "part read after its concat": part_read_after_its_concat,
    "the same tensor twice, and the input": lambda net: net.concat(*[plain(net, 5)] * 2, net.input),
    "other scales": lambda net: net.concat(plain(net, 5, scale=PIXEL * 1.7, zero=31), net.input, zero=3),
    "nobody reads it": lambda net: (lambda a: (net.concat(a, a, net.input), a)[1])(plain(net, 4)),
    "a part from a float operator": lambda net: (
        lambda a: net.concat(a, net.quantized(net.node("Softmax", a.name, axis=1), 4))
    )(plain(net, 4)),
    "odd parts as a residual": lambda net: (lambda c: net.conv(c, 11, 1, residual=c))(net.concat(*pair(net, 5, 6))),
    "odd parts in a sum": lambda net: (lambda c: net.add(c, net.conv(c, 11, 1)))(net.concat(*pair(net, 5, 6))),
    "odd parts rescaled": lambda net: (
        lambda c: net.quantized(net.activated(c.name, 11, Act("PRelu")), 11, PIXEL * 1.3, 40)
    )(net.concat(*pair(net, 5, 6))),
    "odd parts unpacked": lambda net: (lambda c: net.quantized(net.node("Softmax", c.name, axis=1), 11))(
        net.concat(*pair(net, 5, 6))
    ),
}

SUMS: dict[str, Ending] = {
    "the input, broadcast": lambda net: net.conv(net.input, 8, residual=net.conv(net.input, 1, zero=9), swapped=True),
    "sum of a broadcast": lambda net: net.add(net.conv(net.input, 1), plain(net), zero=20, scale=PIXEL * 1.5),
    "a tensor and itself": lambda net: (lambda a: net.add(a, a, scale=PIXEL * 2))(plain(net, 5)),
    "anchor": lambda net: net.conv(plain(net), 12, residual=net.concat(*[net.input] * 4)),
    "anchor of an anchor": lambda net: (lambda c: net.conv(net.concat(c, net.input), 12, residual=net.concat(c, c)))(
        net.concat(net.input, net.input)
    ),
    "four channels, repeated": lambda net: (lambda a: net.conv(a, 8, 1, residual=net.concat(a, a)))(plain(net, 4)),
    "clip, sum, clip": lambda net: net.conv(
        plain(net), 8, act=Act("Clip"), residual=plain(net, zero=7), after=Act("Clip", -0.1, 0.2), zero=90
    ),
    "bound above, sum": lambda net: net.conv(plain(net), 8, act=Act("Clip", -np.inf, 0.3), residual=plain(net, zero=7)),
    "PReLU, sum, ReLU": lambda net: net.conv(
        plain(net, zero=50), 8, act=Act("PRelu"), residual=plain(net, zero=7), after=Act("Relu"), zero=9
    ),
    "sum, LeakyReLU": lambda net: net.add(plain(net), plain(net, zero=99), after=Act("LeakyRelu"), zero=30),
}

OTHERS: dict[str, Ending] = {
    "inner clips": lambda net: net.conv(plain(net, act=Act("Clip")), 8, act=Act("Clip", -0.1, 0.2), zero=60),
    "LeakyReLU": lambda net: plain(net, 5, act=Act("LeakyRelu"), zero=50),
    "groups of odd size": lambda net: net.conv(plain(net, 6), 9, groups=3),
    "groups of whole blocks": lambda net: net.conv(plain(net, 16, zero=33), 16, groups=4, zero=100),
    "dilation and uneven pads": lambda net: net.conv(plain(net, zero=77), 5, dilation=2, pads=[0, 3, 4, 1]),
    "activation of a quantized tensor": lambda net: net.quantized(
        net.activated(plain(net, 5, zero=90).name, 5, Act("Relu")), 5, PIXEL * 1.3, 4
    ),
    "clip of codes halfway between codes": lambda net: net.quantized(
        net.activated(plain(net, 5, zero=43, scale=PIXEL * 1.5).name, 5, Act("Clip", 0.0, 0.9)), 5, PIXEL, 1
    ),
    "shuffle in between": lambda net: net.shuffled(plain(net, 16, zero=11), 2, "DCR"),
    "shuffle of odd channels": lambda net: net.shuffled(plain(net, 45, zero=11), 3, "CRD"),
    "shuffle and clip": lambda net: net.conv(net.shuffled(plain(net, 16), 2, "DCR"), 4, act=Act("Clip"), zero=5),
    "shuffle of odd parts": lambda net: net.shuffled(net.concat(*pair(net, 5, 7)), 2, "DCR"),
    "float operators": lambda net: net.quantized(
        net.activated(net.node("Softmax", plain(net).name, axis=1), 8, Act("Clip", 0.1, 0.4)), 8
    ),
}


def progressive(net: Net, channels: int = 8) -> Tensor:
    """Twice as large and again twice, with convolutions at each size."""
    x = net.conv(net.shuffled(plain(net, 4 * channels, act=Act("Relu")), 2, "DCR"), channels, act=Act("PRelu"))
    x = net.shuffled(net.conv(x, 4 * channels, zero=9), 2, "CRD")
    return net.conv(x, channels, act=Act("Relu"))


def repeated(net: Net, x: Tensor, scale: int = 2) -> Tensor:
    """Enlarged by nearest neighbours."""
    return net.shuffled(net.concat(*[x] * scale**2, scale=x.scale, zero=x.zero), scale, "DCR")


def two_sizes_meet(net: Net) -> Tensor:
    """A shuffle and a repeated picture in one concatenation, which a shuffle of both follows."""
    x = net.shuffled(plain(net, 20, scale=PIXEL * 1.3, zero=7), 2, "DCR")
    y = net.conv(repeated(net, net.input), 4, scale=PIXEL * 1.3, zero=7)
    joined = net.concat(x, y, net.conv(x, 3, 1, scale=PIXEL * 1.3, zero=7), scale=PIXEL * 1.3, zero=7)
    return net.shuffled(net.conv(joined, 24, zero=1), 2, "DCR")


SCALED: dict[str, Ending] = {
    "two shuffles": progressive,
    "three times, and twice": lambda net: net.conv(
        net.shuffled(net.conv(net.shuffled(plain(net, 36, zero=3), 3, "CRD"), 16), 2, "DCR"), 5, 5
    ),
    "nearest neighbours": lambda net: net.conv(repeated(net, net.conv(repeated(net, plain(net)), 8)), 5),
    "nearest neighbours added at the end": lambda net: net.conv(
        progressive(net), 3, residual=repeated(net, net.input, 4)
    ),
    "two sizes meet": two_sizes_meet,
    "all layers concatenated, then enlarged": lambda net: (
        lambda a: (lambda b: net.shuffled(net.conv(net.concat(a, b, net.conv(b, 5)), 20, 1), 2, "DCR"))(net.conv(a, 7))
    )(plain(net, 8)),
    "a sum of a late and an early shuffle": lambda net: net.add(
        net.shuffled(net.conv(net.conv(net.conv(plain(net), 8), 8), 20), 2, "DCR"),
        net.shuffled(net.conv(net.input, 20, 1, zero=5), 2, "CRD"),
        zero=2,
    ),
    "16 bits": lambda net: net.conv(
        net.shuffled(wide(net, 12, zero=700), 2, "DCR"), 8, residual=net.shuffled(plain(net, 32), 2, "CRD")
    ),
    "dilated and uneven": lambda net: net.conv(
        net.shuffled(plain(net, 20, zero=11), 2, "DCR"), 5, dilation=2, pads=[0, 3, 4, 1]
    ),
}


def wide(net: Net, channels: int = 8, **options: object) -> Tensor:
    return plain(net, channels, scale=FINE, **options)


# What 16 bits are like: zero points of two bytes, readers and writers of either width, parts of a concatenation.
WIDE: dict[str, Ending] = {
    "a chain": lambda net: net.conv(wide(net, zero=3000), 7, 1, act=Act("PRelu"), scale=FINE, zero=30001),
    "a zero point of one byte": lambda net: wide(net, zero=255),
    "ReLU": lambda net: wide(net, 5, act=Act("Relu")),
    "inner clip": lambda net: wide(net, act=Act("Clip", -0.1, 0.2), zero=20000),
    "two readers": lambda net: (lambda a: net.add(net.conv(a, 5), net.conv(a, 5, 1, zero=9)))(wide(net, zero=700)),
    "groups of whole blocks": lambda net: net.conv(wide(net, 16, zero=8000), 16, groups=4, scale=FINE),
    "groups of odd size": lambda net: net.conv(wide(net, 6, zero=8000), 9, groups=3),
    "dilation and uneven pads": lambda net: net.conv(wide(net, zero=65535), 5, dilation=2, pads=[0, 3, 4, 1]),
    "written in place": lambda net: net.concat(wide(net, 5), wide(net, 6), scale=FINE),
    "from 8 bits": lambda net: net.concat(plain(net, 5), net.input, wide(net, 4, zero=9), scale=FINE, zero=9),
    "to 8 bits": lambda net: net.concat(wide(net, 5), plain(net, 8)),
    "residual": lambda net: (lambda a: net.conv(a, 8, residual=a, scale=FINE, zero=500))(wide(net, zero=3000)),
    "residual of 8 bits": lambda net: net.conv(wide(net), 8, residual=plain(net, zero=7), scale=FINE, zero=9000),
    "sum of both": lambda net: net.add(wide(net, zero=3), plain(net, zero=7), after=Act("LeakyRelu"), zero=70),
    "sum to 16 bits": lambda net: net.add(plain(net, zero=30), plain(net), scale=FINE, zero=70),
    "odd parts in a sum": lambda net: (lambda c: net.add(c, net.conv(c, 11, 1)))(
        net.concat(wide(net, 5), wide(net, 6), scale=FINE)
    ),
    "odd parts unpacked": lambda net: (lambda c: net.quantized(net.node("Softmax", c.name, axis=1), 11, FINE, 5))(
        net.concat(wide(net, 5), wide(net, 6), scale=FINE)
    ),
    "repeated": lambda net: (lambda a: net.conv(a, 8, 1, residual=net.concat(a, a, scale=FINE)))(wide(net, 4)),
    "shuffle in between": lambda net: net.shuffled(wide(net, 16, zero=11), 2, "DCR"),
}


@pytest.mark.parametrize("name", WIDE)
def test_tensors_of_16_bits(name: str):
    found = assert_equal(finished(WIDE[name]))
    assert found.coverage.integer_convolutions == found.coverage.convolutions
    assert bool(found.stream) == (name != "odd parts unpacked")


@pytest.mark.parametrize("name", [*CONCATS, *SUMS, *OTHERS])
def test_structure(name: str):
    found = assert_equal(finished({**CONCATS, **SUMS, **OTHERS}[name]))
    assert found.coverage.integer_convolutions == found.coverage.convolutions
    assert bool(found.coverage.float_operators) == ("float operator" in name or "unpacked" in name)
    kinds = {entry.dtype for entry in storages(found.planned, 90, 160)}
    if found.coverage.float_operators:
        assert "float32" in kinds
    else:
        assert kinds == {"uint8"}, "nothing but the result lies in memory"


@pytest.mark.parametrize("name", SCALED)
def test_sizes_within_a_network_stream(name: str):
    """Bands of many rows, and of the fewest that there may be; the last picture is cut for two threads."""
    model, host = finished(SCALED[name]), find_target("host")
    for cache in (host.cache, 1):
        found = assert_equal(model, replace(host, cache=cache), sizes=((1, 1), (9, 81), (50, 6)), spread=10)
        assert found.stream is not None
        assert {entry.dtype for entry in storages(found.planned, 90, 160)} == {"uint8"}
        assert found.coverage.integer_convolutions == found.coverage.convolutions


@pytest.mark.parametrize("name", ["a part from a float operator", "odd parts unpacked", "float operators"])
def test_float_operators_are_named_in_order(name: str):
    found = compiled(finished({**CONCATS, **OTHERS}[name])).coverage
    assert found.float_operators == (("softmax", "maximum", "minimum") if name == "float operators" else ("softmax",))
    assert "float: softmax" in str(found)


def test_ends_without_convolutions():
    net = Net()
    assert_equal(net.model(net.input))
    net = Net()
    assert_equal(net.model(net.concat(*pair(net, 5, 7)), 2))
    net = Net(1)
    assert_equal(net.model(net.conv(net.input, 9, residual=net.input), 3, "DCR"))


def test_a_target_s_cache_bounds_the_line_buffers_and_changes_no_bit():
    model = finished(lambda net: net.conv(plain(net), 8), scale=2)
    host = find_target("host")
    large, small = (assert_equal(model, replace(host, cache=size)) for size in (host.cache, 60_000))
    assert large.line_buffers(640) > 4 * small.line_buffers(640)
    assert small.line_buffers(640) < 120_000


def test_products_of_strided_convolutions_are_counted_once_a_result():
    net = Net()
    a = net.conv(net.input, 12, stride=2)
    b = net.quantized(net.node("DepthToSpace", a.name, blocksize=2), 3)
    found = assert_equal(net.model(net.conv(b, 3)), sizes=((6, 8), (10, 82)))
    assert (found.coverage.integer_convolutions, found.coverage.convolutions) == (2, 2)
    assert found.coverage.macs == found.coverage.integer_macs == 12 * 3 * 9 / 4 + 3 * 3 * 9


def test_memory_of_a_plain_chain_behind_a_float_operator_is_two_tensors():
    def deep(net: Net) -> Tensor:
        x = net.quantized(net.node("Softmax", plain(net).name, axis=1), 8)
        for _ in range(6):
            x = net.conv(x, 8, 1)
        return x

    plan = storages(compiled(finished(deep)).planned, 90, 160)
    assert len([found for found in plan if found.dtype == "uint32"]) <= 3  # the input, and two that take turns


def test_refusals():
    net = Net()
    model = net.model(plain(net, 3))
    last = model.graph.node[-1]
    source = last.input[0]
    for message, node in (
        ("does not end in a quantized picture", onnx.helper.make_node("Tanh", [source], ["output"])),
        ("not a pixel shuffle", onnx.helper.make_node("Transpose", [source], ["output"], perm=[0, 1, 3, 2])),
    ):
        last.CopyFrom(node)
        with pytest.raises(ModelError, match=message):
            compiled(model)
    net = Net()
    model = net.model(net.conv(net.input, 3, 3, dilation=17))
    with pytest.raises(ModelError, match="pads by 17 pixels"):
        compiled(model)
    net = Net()
    with pytest.raises(ModelError, match="output is quantized to 16 bits"):
        compiled(net.model(net.conv(net.input, 3, scale=FINE)))


@st.composite
def networks(draw: st.DrawFn, stages: int = 1, scales: Sequence[float] = (PIXEL, PIXEL, FINE)) -> onnx.ModelProto:
    """A random directed graph of convolutions, sums and concatenations, enlarged after each stage but the last."""
    net = Net(draw(st.sampled_from([1, 3])), draw(st.integers(0, 9)))
    x = grown(draw, net, net.input, scales)
    for _ in range(stages - 1):
        wide = net.conv(x, 4 * draw(st.integers(1, 9)), 1, scale=draw(st.sampled_from(scales)), zero=3)
        x = grown(draw, net, net.shuffled(wide, 2, draw(st.sampled_from(["DCR", "CRD"]))), scales)
    scale = draw(st.integers(1, 2))
    return net.model(net.conv(x, net.channels * scale**2), scale, draw(st.sampled_from(["DCR", "CRD"])))


def grown(draw: st.DrawFn, net: Net, start: Tensor, scales: Sequence[float]) -> Tensor:
    """The last tensor of a random graph behind ``start``."""
    tensors = [start]
    channels = st.integers(1, 9)
    zeros = st.sampled_from([0, 3, 128])
    for _ in range(draw(st.integers(2, 6))):
        x = draw(st.sampled_from(tensors))
        scale = draw(st.sampled_from(scales))
        match draw(st.sampled_from(["conv", "conv", "concat", "concat", "add", "residual"])):
            case "conv":
                act = draw(st.sampled_from([None, Act("Relu"), Act("PRelu"), Act("Clip", -0.1, 0.4)]))
                tensors.append(
                    net.conv(x, draw(channels), draw(st.sampled_from([1, 3])), act=act, scale=scale, zero=draw(zeros))
                )
            case "concat":
                parts = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=4))
                shared = draw(st.sampled_from([(part.scale, part.zero) for part in parts]))
                tensors.append(net.concat(*parts, scale=shared[0], zero=shared[1]))
            case "add":
                y = net.conv(draw(st.sampled_from(tensors)), x.channels, 1, zero=draw(zeros))
                tensors.append(net.add(x, y, scale=scale * draw(st.sampled_from([1, 2])), zero=draw(zeros)))
            case "residual":
                y = draw(st.sampled_from(tensors))
                tensors.append(
                    net.conv(y, x.channels, 1, residual=x, swapped=draw(st.booleans()), scale=scale, zero=draw(zeros))
                )
    return tensors[-1]


@pytest.mark.slow
@given(networks(stages=2))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_graphs_of_two_sizes(model: onnx.ModelProto):
    found = assert_equal(model, sizes=((3, 4), (6, 83)), spread=0)  # some saturate
    assert found.stream is not None


@pytest.mark.slow
@given(networks())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_graphs(model: onnx.ModelProto):
    found = assert_equal(model, sizes=((3, 4), (6, 83)), spread=5)
    assert {entry.dtype for entry in storages(found.planned, 9, 9)} == {"uint8"}
