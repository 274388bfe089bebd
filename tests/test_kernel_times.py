"""Kernels of a library timed one by one: each is given what the network gives it, and layers find their kernels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from tests.lower.compiled import compiled
from tests.lower.nets import Act, Net
from tests.lower.test_segments import NETWORKS
from toolchain.backends.cpu.kernel_times import _calls, time_kernels
from toolchain.images.geometry import Geometry
from toolchain.lower.depth_to_space import evaluate
from toolchain.reference.network import Layer
from toolchain.runtime.measure import KernelTimes
from toolchain.support.errors import BundleError
from toolchain.targets import find_target
from toolchain.targets.linker import find_linker
from toolchain.workflows.report.times import TimedKernels

SIZE = 64, 96


def small() -> onnx.ModelProto:
    net = Net()
    return net.model(net.conv(net.conv(net.input, 8, act=Act("Relu")), 12), 2)


@pytest.mark.parametrize("make", [small, *NETWORKS.values()], ids=["small", *NETWORKS])
def test_kernels_are_given_what_they_ask_for(make: Callable[[], onnx.ModelProto]) -> None:
    made = compiled(make())
    assert made.segments
    for segment in made.segments:
        called = [name for (name, _), _ in _calls(segment, SIZE)]
        assert called == [call.kernel for call in segment.calls]
        for (name, arguments), bands in _calls(segment, SIZE):
            function = made.planned[name]
            assert bands >= 1
            assert len(function.params) == len(arguments)
            pairs = list(zip(function.params, arguments, strict=True))
            numbers = {one: value for one, value in pairs if not isinstance(value, np.ndarray)}
            for wanted, given in pairs:
                if isinstance(given, np.ndarray):
                    assert tuple(evaluate(side, numbers) for side in wanted.shape) == given.shape, (name, wanted)
                    assert str(wanted.dtype) == str(given.dtype)
                    assert given.ctypes.data % 64 == 0


def test_every_kernel_of_a_library_is_timed(tmp_path: Path) -> None:
    made = compiled(small())
    made.executable.export_library(str(tmp_path / "model.so"), fcompile=find_linker(find_target("host").triple))
    found = time_kernels(tmp_path / "model.so", made.segments, Geometry(3, 2), SIZE)
    (segment,) = made.segments
    assert list(found.kernels) == [call.kernel for call in segment.calls]
    assert all(seconds > 0 for seconds in found.kernels.values())
    assert found.whole > 0
    assert found.size == SIZE


def test_kernels_on_whole_tensors_are_timed_too(tmp_path: Path) -> None:
    made = compiled(small(), layers=True)
    made.executable.export_library(str(tmp_path / "model.so"), fcompile=find_linker(find_target("host").triple))
    found = time_kernels(tmp_path / "model.so", (), Geometry(3, 2), SIZE)
    assert {kernel.name for kernel in made.kernels} <= set(found.kernels)
    assert not any(name.startswith(("vm.", "compute")) for name in found.kernels)


def test_what_is_no_library_is_not_timed(tmp_path: Path) -> None:
    (tmp_path / "model.so").write_text("no library")
    with pytest.raises(BundleError, match="cannot be loaded"):
        time_kernels(tmp_path / "model.so", (), Geometry(3, 2), SIZE)


def timed(kernels: dict[str, int], seconds: dict[str, float]) -> TimedKernels:
    convolutions = tuple(SimpleNamespace(name=name, macs=macs) for name, macs in kernels.items())
    return TimedKernels(KernelTimes(SIZE, seconds, 9e-3), convolutions, "A CPU")


def layer(name: str, macs: float) -> Layer:
    return Layer(name, "Conv", (8, 8, 3, 3), 1, macs)


def test_layers_find_their_kernels() -> None:
    layers = [layer("first", 100.0), layer("second", 300.0)]
    seconds = {"pack": 1e-3, "a": 2e-3, "b": 1e-3, "c": 4e-3}
    one_each = timed({"a": 100, "c": 300}, seconds)
    assert one_each.of_layers(layers) == {"first": 2e-3, "second": 4e-3}
    assert one_each.share(4e-3) == pytest.approx(0.5)
    several = timed({"a": 100, "b": 100, "c": 200}, seconds)
    assert several.of_layers(layers) == {"first": 2e-3, "second": 5e-3}


@pytest.mark.parametrize(
    "kernels",
    [{"a": 100}, {"a": 100, "c": 200}, {"c": 300, "a": 100}, {"a": 100, "c": 300, "b": 5}, {"a": 100, "unknown": 300}],
)
def test_where_layers_are_not_kernels_nothing_is_said(kernels: dict[str, int]) -> None:
    layers = [layer("first", 100.0), layer("second", 300.0)]
    assert timed(kernels, {"a": 1.0, "b": 1.0, "c": 1.0}).of_layers(layers) == {}


def test_what_was_measured_is_said() -> None:
    text = timed({}, {"a": 4e-3, "b": 4.5e-3}).describe()
    for word in ("96 x 64 pixels", "one thread", "A CPU", "8.5 ms", "9 ms", "clipfree bench"):
        assert word in text
