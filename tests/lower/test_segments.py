"""Networks that stream in several segments: where they are cut, and the integer reference's bytes wherever that is."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest

from tests.lower.compiled import assert_equal, compiled
from tests.lower.nets import FINE, Act, Net
from tests.lower.products import POOLED, finished
from tests.lower.test_down import down_and_up
from toolchain.kernels.intrinsics import dot_product
from toolchain.lower import lower_model, segments
from toolchain.lower.memory import storages
from toolchain.targets import find_target


def skips() -> onnx.ModelProto:
    """A tensor that is read next, in the middle and at the end, as a part of a concatenation that fills late."""
    net = Net()
    first = net.conv(net.input, 8, act=Act("Relu"))
    inner = net.conv(first, 8, zero=30)
    second = net.conv(net.add(net.conv(inner, 8, zero=20), first, zero=9), 8, act=Act("Relu"))
    third = net.conv(second, 8, scale=FINE, zero=70)
    last = net.conv(net.conv(net.add(third, second, zero=3), 8), 8)
    return net.model(net.conv(net.concat(first, last, inner), 12), 2)


def deep(layers: int = 40) -> onnx.ModelProto:
    """Many equal convolutions."""
    net = Net()
    x = net.conv(net.input, 16, act=Act("Relu"))
    for _ in range(layers):
        x = net.conv(x, 16, act=Act("Relu"))
    return net.model(net.conv(x, 3))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "skips": skips,
    "down and up": down_and_up,
    "contrast": lambda: finished(POOLED["contrast"]),
    "attention twice": lambda: finished(POOLED["attention twice"]),
}


@pytest.mark.parametrize("stored", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_cut_gives_the_reference(name: str, stored: float, monkeypatch: pytest.MonkeyPatch):
    """Cuts everywhere, at some places, at few."""
    monkeypatch.setattr(segments, "PART", 1)
    monkeypatch.setattr(segments, "STORED", stored)
    found = assert_equal(NETWORKS[name](), sizes=((1, 1), (9, 81), (77, 6)), spread=10)
    assert len(found.segments) > 1


def test_shallow_networks_are_one_segment_and_deep_ones_several():
    dot = dot_product("portable")
    assert len(lower_model(deep(8), dot).segments) == 1
    found = lower_model(deep(), dot)
    assert len(found.segments) > 2
    assert found.rehearsal.layered is None
    assert found.rehearsal.segments == len(found.segments)
    # Every kernel has its place, in order.
    kernels = [call.kernel for segment in found.segments for call in segment.calls]
    assert kernels == [launch.call.kernel for launch in found.launches]
    # No thread computes many rows that another one computes too.
    assert max(band.up + band.down for segment in found.segments for band in segment.plan().steps) < 30


def test_tensors_between_segments_share_memory():
    found = compiled(deep())
    tensors = [entry for entry in storages(found.planned, 360, 640) if entry.dtype == "uint32"]
    assert 1 < len(tensors) < len(found.segments)
    assert found.scratch == 0


@pytest.mark.parametrize("name", ["x86-avx2", "x86-sse4"])
def test_other_instruction_sets(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "PART", 1)
    assert_equal(skips(), find_target(name), sizes=((9, 81),))
