"""Codes that get other places: channels chosen and reordered, borders continued and cut; equal to the reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lower.compiled import SMALL, assert_equal
from tests.lower.nets import FINE, PIXEL, Act, Net, Tensor
from toolchain.lower.memory import storages

Ending = Callable[[Net], Tensor]
VALID = [0, 0, 0, 0]


def plain(net: Net, channels: int = 8, **options: object) -> Tensor:
    return net.conv(net.input, channels, **options)  # type: ignore[arg-type]


def split(net: Net, at: int, channels: int = 12, **options: object) -> tuple[Tensor, Tensor]:
    x = plain(net, channels, **options)
    return net.selected(x, *range(at)), net.selected(x, *range(at, channels))


def rejoined(net: Net, at: int, **options: object) -> Tensor:
    first, second = split(net, at, **options)
    return net.concat(net.conv(first, 4), second, net.conv(second, 4, 1))


def summed(net: Net, at: int) -> Tensor:
    first, second = split(net, at)
    return net.add(net.conv(second, at, residual=first), first, after=Act("PRelu"))


CHANNELS: dict[str, Ending] = {
    "the picture's reordered": lambda net: net.conv(net.selected(net.input, 2, 1, 0), 8),
    "parts of whole words": lambda net: rejoined(net, 4),
    "parts within words": lambda net: rejoined(net, 5),
    "parts of 16 bits": lambda net: rejoined(net, 4, scale=FINE),
    "parts within words of 16 bits": lambda net: rejoined(net, 6, scale=FINE),
    "sums of parts of whole words": lambda net: summed(net, 4),
    "sums of parts within words": lambda net: summed(net, 3),
    "one twice": lambda net: net.conv(net.selected(plain(net), 6, 6, 1), 5),
    "a choice of a choice": lambda net: net.conv(net.selected(net.selected(plain(net), 7, 3, 5, 1), 2, 0), 5),
    "a choice of a concat": lambda net: net.conv(net.selected(net.concat(plain(net, 5), net.input), 7, 4, 0), 5),
    "groups of a choice": lambda net: net.conv(net.selected(plain(net), 4, 5, 6, 7, 0, 1, 2, 3), 8, groups=2),
    "one of each": lambda net: net.conv(net.selected(plain(net), 3), 4, residual=net.selected(plain(net, 4), 1)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels(name: str):
    net = Net()
    found = assert_equal(net.model(net.conv(CHANNELS[name](net), 12), 2))
    assert found.coverage.float_operators == ()
    assert found.stream is not None, "choosing channels keeps no picture from streaming"


def test_parts_of_whole_words_are_all_that_is_multiplied():
    net = Net()
    _, second = split(net, 8, 12)
    found = assert_equal(net.model(net.conv(second, 3)))
    assert [kernel.conv.source.count for kernel in found.kernels] == [1, 1]
    assert found.kernels[1].conv.source.start == 2


def test_channels_are_reordered_at_the_end():
    net = Net()
    found = assert_equal(net.model(net.selected(plain(net, 12), *range(11, -1, -1)), 2))
    assert found.coverage.float_operators == ()


def mirrored(net: Net, x: Tensor, channels: int, k: int = 3, mode: str = "reflect", **options: object) -> Tensor:
    """A convolution that mirrors its input at the borders."""
    around = [(k - 1) // 2] * 2 + [k // 2] * 2
    return net.conv(net.windowed(x, *around, mode), channels, k, pads=VALID, **options)  # type: ignore[arg-type]


def several_readers(net: Net) -> Tensor:
    x = plain(net)
    wide = net.windowed(x, 1, 1, 1, 1, "reflect")
    return net.add(net.conv(wide, 8, pads=VALID, residual=x), net.conv(wide, 8, pads=VALID), zero=9)


SURROUNDED: dict[str, Ending] = {
    "mirrored": lambda net: mirrored(net, mirrored(net, net.input, 8, act=Act("Relu")), 8),
    "the pixel at the border": lambda net: mirrored(net, plain(net, zero=77), 8, 5, "edge"),
    "more on one side": lambda net: mirrored(net, plain(net), 8, 4),
    "several readers": several_readers,
    "mirrored codes of 16 bits": lambda net: mirrored(net, plain(net, scale=FINE), 8),
    "mirrored channels": lambda net: mirrored(net, net.selected(plain(net), 5, 1, 2), 8),
    "mirrored parts of a concat": lambda net: net.concat(mirrored(net, net.input, 5), mirrored(net, net.input, 4)),
}
WINDOWS: dict[str, Ending] = {
    "a frame that is cut off later": lambda net: net.windowed(
        net.conv(net.windowed(net.input, 2, 3, 2, 3, "reflect"), 8), -2, -3, -2, -3
    ),
    "only where the kernel fits": lambda net: net.conv(
        net.conv(net.windowed(net.input, 3, 3, 3, 3, "edge"), 8, pads=VALID, act=Act("Relu")), 8, 5, pads=VALID
    ),
    "a sum where the kernel fits": lambda net: (
        lambda x: net.conv(x, 8, pads=VALID, residual=net.windowed(x, -1, -1, -1, -1))
    )(net.windowed(plain(net), 1, 1, 1, 1, "edge")),
    "more padding than the kernel reads": lambda net: net.windowed(
        net.conv(net.input, 8, pads=[2, 3, 1, 1]), -1, -1, 0, -1
    ),
    "one side more, the other less": lambda net: net.windowed(
        net.conv(net.windowed(net.input, 0, 1, 0, 0, "edge"), 8, pads=[1, 0, 2, 1]), -1, 0, 0, 0
    ),
    "a crop of a concat": lambda net: (lambda x: net.windowed(net.concat(x, x, zero=4), -1, -1, -1, -1))(
        net.windowed(plain(net, 5), 1, 1, 1, 1, value=0.3)
    ),
    "windows of 16 bits": lambda net: net.windowed(
        net.conv(net.windowed(plain(net, scale=FINE), 1, 2, 1, 2, "reflect"), 8, scale=FINE), -1, -2, -1, -2
    ),
    "parts of a concat": lambda net: (
        lambda x: net.concat(net.conv(x, 4, pads=VALID), net.windowed(x, -1, -1, -1, -1), net.input)
    )(net.windowed(net.input, 1, 1, 1, 1, "edge")),
}


@pytest.mark.parametrize("name", [*SURROUNDED, *WINDOWS])
def test_borders(name: str):
    net = Net()
    found = assert_equal(net.model(net.conv({**SURROUNDED, **WINDOWS}[name](net), 12), 2), sizes=((2, 3), *SMALL))
    assert found.coverage.float_operators == ()
    assert found.coverage.integer_convolutions == found.coverage.convolutions
    assert "float32" not in {entry.dtype for entry in storages(found.planned, 90, 160)}


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_border_streams(value: float):
    net = Net()
    x = net.conv(net.windowed(net.input, 2, 2, 2, 2, value=value), 8, 5, pads=VALID)
    x = net.conv(net.windowed(x, 1, 1, 1, 1, value=value / 2), 8, pads=VALID, residual=x)
    found = assert_equal(net.model(net.conv(x, 12), 2))
    assert found.stream is not None
    assert found.coverage.float_operators == ()


@pytest.mark.parametrize("name", ["valid", "window", "shuffled window"])
def test_the_network_ends_in_a_crop(name: str):
    net = Net()
    wide = net.windowed(net.input, 2, 2, 2, 2, "reflect")
    if name == "valid":
        x = net.conv(wide, 12, 5, pads=VALID)
    elif name == "window":
        x = net.windowed(net.conv(wide, 12), -2, -2, -2, -2)
    else:
        x = net.windowed(net.shuffled(net.conv(wide, 12), 2, "CRD"), -4, -4, -4, -4)
    assert assert_equal(net.model(x, 1 if name == "shuffled window" else 2)).coverage.float_operators == ()


@given(
    st.tuples(*[st.integers(0, 4)] * 4),
    st.sampled_from(["reflect", "edge", "constant"]),
    st.integers(1, 6),
    st.integers(1, 20),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_frame_on_any_picture(pads: tuple[int, int, int, int], mode: str, height: int, width: int):
    net = Net()
    x = net.windowed(net.input, *pads, mode, 0.4)  # type: ignore[misc]
    x = net.windowed(net.conv(x, 3, scale=PIXEL), *(-pad for pad in pads))
    assert_equal(net.model(x), sizes=((height, width),), spread=0)
