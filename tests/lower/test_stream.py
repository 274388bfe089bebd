"""The plan by which a network of several sizes streams, from the model on, and the memory that it says."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import onnx
import pytest
from tvm import tirx

from tests.lower.nets import Act, Net
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.network import Needs, Stream
from toolchain.lower import lower_model
from toolchain.lower.stream import ENTRY

DOT = dot_product("portable")


def progressive() -> onnx.ModelProto:
    """Four times as large by two shuffles, and the picture repeated beside."""
    net = Net()
    x = net.shuffled(net.conv(net.input, 16, act=Act("Relu")), 2, "DCR")
    near = net.shuffled(net.concat(*[net.input] * 4), 2, "DCR")
    y = net.shuffled(net.conv(net.concat(x, near), 16), 2, "CRD")
    return net.model(net.conv(y, 3), 1)


def streamed(model: onnx.ModelProto, cache: int = 1 << 20) -> tuple[Stream, tirx.PrimFunc]:
    lowered = lower_model(model, DOT, cache=cache)
    assert lowered.stream is not None
    return lowered.stream, lowered.module[ENTRY]


def test_every_kernel_counts_its_own_rows():
    found, _ = streamed(progressive())
    plan = found.plan()
    assert [(call.kernel, band.rate, band.lag) for call, band in zip(found.calls, plan.steps, strict=True)] == [
        ("pack_pixels", 1, 0),
        ("conv0_3x3_3to16", 1, 1),
        ("depth_to_space", 1, 1),
        ("depth_to_space_2", 1, 1),
        ("conv1_3x3_7to16", 2, 3),
        ("depth_to_space_3", 2, 3),
        ("conv2_3x3_4to3", 4, 7),
    ]
    # The picture; its convolution; both parts of the concatenation, shuffled into one tensor; the second convolution.
    blocks = [
        (tensor.blocks, rate, kept) for tensor, rate, kept in zip(found.tensors, plan.rates, plan.history, strict=True)
    ]
    assert blocks == [(1, 1, 2), (4, 1, 0), (2, 2, 2), (4, 2, 0), (1, 4, 2)]
    assert (plan.lead, plan.tail, plan.unit) == (2, 2, 1)


@pytest.mark.parametrize("width", [1, 640, 1921])
@pytest.mark.parametrize("cache", [1, 100_000, 1 << 20])
def test_line_buffers_are_what_is_said(width: int, cache: int):
    """The buffers that the function allocates, in TVM's text, for a picture of this width."""
    found, function = streamed(progressive(), cache)
    tensor_script = SimpleNamespace(int64=int, max=max, min=min)
    sizes = {"T": tensor_script, "height": 7, "width": width, "tiles": -(-width // DOT.columns)}
    for name, value in re.findall(r"^    (\w+): T.let\[T.int64\] = (.*)$", function.script(), re.MULTILINE):
        if "call_packed" not in value:  # the number of threads
            sizes[name] = eval(value, sizes)
    shapes = re.findall(r"= T.alloc_buffer\((\(.*\)), \"uint32\"\)", function.script())
    assert len(shapes) == len(found.tensors)
    assert sum(4 * math.prod(eval(shape, sizes)) for shape in shapes) == found.workspace(width)


def test_a_kernel_of_a_larger_picture_needs_fewer_rows_of_the_small_one():
    """One that computes four rows at a time has them all from one, two or four rows of the picture."""
    needs = Needs(rows=4, workspace=7)
    assert [needs.at(scale).rows for scale in (1, 2, 3, 4, 8)] == [4, 2, 4, 1, 1]
    assert Needs.all([needs.at(2), Needs(rows=3)]) == Needs(rows=6, workspace=7)
    found, _ = streamed(progressive())
    for rows, unit in ((1, 1), (4, 4), (12, 12)):
        wanting = replace(found, needs=Needs(rows=rows))
        least = wanting.rows(wanting.plan())
        assert least == (unit, 1, 32 // unit)
