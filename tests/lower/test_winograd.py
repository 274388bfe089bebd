"""Networks whose 3x3 convolutions run by Winograd equal the integer reference, whatever surrounds these."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from tests.instruction_sets import AVX2, AVXVNNI, SSE4, param
from tests.lower.compiled import assert_equal
from tests.lower.nets import PIXEL, Act, Net, Tensor
from tests.lower.test_networks import CONCATS, OTHERS, SUMS, finished, networks, plain
from toolchain.backends.cpu.build import compile_model
from toolchain.kernels.tile import WINOGRAD
from toolchain.targets import Target

WHERE = pytest.mark.parametrize("target", [param(target) for target in (AVX2, SSE4)])
STRUCTURES = {**CONCATS, **SUMS, **OTHERS}
SIZES = ((1, 1), (5, 7), (14, 130), (77, 9))


def algorithms(found: object) -> set[str]:
    return {choice.tile.algorithm for choice in found.choices.values()}  # type: ignore[attr-defined]


def deep(net: Net) -> Tensor:
    first = plain(net, 16, act=Act("PRelu"), zero=70)
    second = net.conv(first, 16, groups=4, act=Act("Clip", -0.1, 0.4), zero=30)
    third = net.conv(second, 16, residual=first, after=Act("Relu"))
    return net.conv(net.concat(first, third), 12, 1, zero=9)


@WHERE
def test_a_deep_network_with_all_its_pieces(target: Target):
    found = assert_equal(finished(deep, scale=2), target, SIZES)
    assert {name: choice.tile.algorithm for name, choice in found.choices.items()} == {
        "conv0_3x3_3to16": WINOGRAD,
        "conv1_3x3_16to16": WINOGRAD,
        "conv2_3x3_16to16": WINOGRAD,
        "conv3_1x1_32to12": "direct",
        "conv4_3x3_12to12": WINOGRAD,
    }
    assert found.stream is not None
    assert found.stream.needs.rows == 4
    without = dataclasses.replace(found.stream, needs=dataclasses.replace(found.stream.needs, workspace=0))
    assert found.line_buffers(640) == without.workspace(640) + found.stream.needs.workspace > 40_000


@pytest.mark.parametrize("target", [param(AVXVNNI)])
def test_with_vnni_it_is_taken_where_there_are_many_channels(target: Target):
    found = assert_equal(finished(deep, scale=2), target, SIZES[1:3])
    assert {name for name, choice in found.choices.items() if choice.tile.algorithm == WINOGRAD} == {"conv2_3x3_16to16"}


@WHERE
@pytest.mark.parametrize(
    "name",
    [
        "parts with other readers",
        "one tensor in two concats",
        "PReLU, sum, ReLU",
        "groups of odd size",
        "shuffle and clip",
        "float operators",
    ],
)
def test_structure(name: str, target: Target):
    assert WINOGRAD in algorithms(assert_equal(finished(STRUCTURES[name]), target, SIZES[1:3]))


@WHERE
@given(networks(scales=(PIXEL,)))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_graphs(target: Target, model: onnx.ModelProto):
    assert_equal(model, target, ((3, 4), (6, 83)), spread=5)


@pytest.mark.parametrize("target", [param(AVX2)])
def test_layer_by_layer_kernels_take_their_workspace_on_every_thread(target: Target):
    model = SimpleNamespace(model=finished(plain))
    streamed, layered = compile_model(model, target), compile_model(model, target, layers=True)  # type: ignore[arg-type]
    assert layered.stream is None
    assert layered.scratch == target.cores * streamed.stream.needs.workspace > 0  # type: ignore[union-attr]
    assert layered.workspace(9, 9) > layered.scratch


def with_bias(value: int) -> onnx.ModelProto:
    """A network whose first convolution adds ``value`` to the sums of its third channel, and little to the others'."""
    model = finished(lambda net: net.conv(plain(net, zero=100), 4))
    (bias,) = [
        constant
        for constant in model.graph.initializer
        if constant.data_type == onnx.TensorProto.INT32 and constant.dims == [8]
    ][:1]
    array = onnx.numpy_helper.to_array(bias).copy()
    array[2] = value
    bias.CopyFrom(onnx.numpy_helper.from_array(np.asarray(array, np.int32), bias.name))
    return model


@WHERE
def test_sums_beyond_the_bound_fall_back_and_say_so(target: Target):
    for bias, direct in ((2**25 - 1_000_000, False), (2**25, True), (-(2**25), True), (2**31 - 2_000_000, True)):
        found = assert_equal(with_bias(bias), target, SIZES[1:2], spread=5)
        said = str(found.choices["conv0_3x3_3to8"])
        assert said.startswith("Winograd") != direct
        assert said.endswith("(default; sums too large for Winograd)") == direct
        assert str(found.choices["conv1_3x3_8to4"]).startswith("Winograd F(4x4,3x3)")
