"""Functions of single numbers become tables, in the reference and in the lowering, and kernels give their bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.instruction_sets import EVERY
from tests.lower.compiled import assert_equal
from tests.lower.functions import COLUMNS, SPELLINGS, per_channel
from tests.lower.nets import FINE, PIXEL, Net
from tests.lower.test_chain import chains
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.byte_table import ByteTable
from toolchain.kernels.lookup import bytewise, laid, lookup
from toolchain.kernels.spec import Addend, View
from toolchain.quantize import IntegerReference
from toolchain.reference.bounds import find_bounds
from toolchain.reference.program import FloatStep, parse
from toolchain.reference.steps import TableStep
from toolchain.targets import Target

GIVEN = {8: (4 * PIXEL, 130), 16: (4 * FINE, 130 * 257)}
MADE = {8: (2 * PIXEL, 60), 16: (2 * FINE, 60 * 257)}
Write = Callable[[Net, str], str]


def model_of(write: Write, given: int, made: int, channels: int = 8) -> onnx.ModelProto:
    """A convolution, a function, a convolution; the function reads and makes codes of so many bits."""
    net = Net()
    x = net.conv(net.input, channels, scale=GIVEN[given][0], zero=GIVEN[given][1])
    x = net.quantized(write(net, x.name), 8, *MADE[made])
    return net.model(net.conv(x, 3))


def tables(model: onnx.ModelProto) -> tuple[TableStep, TableStep]:
    (read,) = [step for step in parse(model).steps if isinstance(step, TableStep)]
    (found,) = [chain for chain in chains(model) if isinstance(chain, TableStep)]
    return read, found


@pytest.mark.parametrize("name", sorted(SPELLINGS))
@pytest.mark.parametrize("bits", [8, 16])
def test_both_readers_make_the_table_that_the_function_says(name: str, bits: int):
    read, found = tables(model_of(SPELLINGS[name].write, bits, 8))
    assert np.array_equal(read.table, found.table)
    (scale, zero), (step, middle) = GIVEN[bits], MADE[8]
    codes = np.unique(np.linspace(0, 256 ** (bits // 8) - 1, 256).astype(int))
    wanted = [min(max(SPELLINGS[name].function((code - zero) * scale) / step + middle, 0), 255) for code in codes]
    assert read.table.shape == (1, 256 ** (bits // 8))
    assert np.abs(read.table[0, codes] - np.array(wanted)).max() < 0.5 + 1e-3
    assert len(np.unique(read.table)) > 30


def test_constants_of_channels_make_a_table_for_each():
    read, found = tables(model_of(per_channel, 8, 8))
    assert np.array_equal(read.table, found.table)
    (scale, zero), (step, middle) = GIVEN[8], MADE[8]
    wanted = ((np.arange(256)[None] - zero) * scale * COLUMNS[:, None] - 0.1) ** 2 / step + middle
    np.testing.assert_allclose(read.table, np.clip(wanted, 0, 255), atol=0.501)


@pytest.mark.parametrize(("given", "made"), [(8, 8), (8, 16), (16, 8), (16, 16)])
@pytest.mark.parametrize("write", [SPELLINGS["silu"].write, per_channel], ids=["silu", "per channel"])
def test_codes_of_any_width(given: int, made: int, write: Write):
    library = assert_equal(model_of(write, given, made), spread=20)
    assert library.coverage.float_operators == ()
    assert library.stream is not None


@EVERY
def test_every_instruction_set(target: Target):
    assert_equal(model_of(SPELLINGS["silu"].write, 8, 8), target, ((5, 7), (9, 81)), spread=20)


def test_one_channel_becomes_several():
    scaled = model_of(lambda net, x: net.node("Mul", x, net.const(COLUMNS.reshape(8, 1, 1))), 8, 8, channels=1)
    library = assert_equal(scaled, spread=20)
    assert library.coverage.float_operators == ()


def test_it_writes_into_a_concatenation_and_reads_one():
    net = Net()
    a, b = net.conv(net.input, 3, scale=4 * PIXEL, zero=130), net.conv(net.input, 6, scale=4 * PIXEL, zero=130)
    bent = net.quantized(net.node("Tanh", net.concat(a, b, scale=4 * PIXEL, zero=130).name), 9, *GIVEN[8])
    joined = net.concat(bent, net.quantized(net.node("Sigmoid", b.name), 6, *GIVEN[8]), scale=4 * PIXEL, zero=130)
    assert assert_equal(net.model(net.conv(joined, 3)), spread=20).stream is not None


def test_the_table_of_16_bits_is_stored_where_it_changes():
    table = np.repeat(np.array([7, 9, 200], np.uint8), [1000, 500, 65536 - 1500])[None]
    operation, kept = lookup(table, Addend(View(2, 0, 1, wide=True), 1, 4), 0, View(1, 0, 1))
    assert (operation.first, operation.entries) == (999, 502)
    np.testing.assert_array_equal(kept, table[:, 999:1501])


def softmax(net: Net, x: str) -> str:
    return net.node("Softmax", x, axis=1)


def pixel_constant(net: Net, x: str) -> str:
    """Numbers that are not the same for all pixels: of columns."""
    return net.node("Mul", x, net.const(np.linspace(0, 1, 16)))


@pytest.mark.parametrize("write", [softmax, pixel_constant])
def test_what_is_no_function_of_single_numbers_is_no_table(write: Write):
    model = model_of(write, 8, 8)
    assert any(isinstance(step, FloatStep) for step in parse(model).steps)
    if write is softmax:
        assert chains(model).count(None) == 1


def test_what_reads_two_tensors_is_no_table():
    net = Net()
    a, b = net.conv(net.input, 8), net.conv(net.input, 8)
    product = net.quantized(net.node("Mul", net.node("Sigmoid", a.name), net.node("Tanh", b.name)), 8)
    assert not any(isinstance(step, TableStep) for step in parse(net.model(net.conv(product, 3))).steps)


def test_what_is_no_number_counts_as_zero():
    read, found = tables(model_of(lambda net, x: net.node("Sqrt", x), 8, 8))
    assert (read.table[0, :130] == 60).all()
    assert np.array_equal(read.table, found.table)
    log, _ = tables(model_of(lambda net, x: net.node("Log", x), 8, 8))
    assert log.table[0, 130] == 0, "minus infinity saturates"


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(SPELLINGS)),
    st.floats(2**-10, 0.125, width=32),
    st.floats(2**-10, 0.125, width=32),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_any_quantization(name: str, scale: float, step: float, zero: int, middle: int):
    net = Net()
    x = net.conv(net.input, 8, scale=scale, zero=zero)
    model = net.model(net.conv(net.quantized(SPELLINGS[name].write(net, x.name), 8, step, middle), 3))
    read, found = tables(model)
    assert np.array_equal(read.table, found.table)
    for code in (0, zero, 255):
        value = SPELLINGS[name].function((code - zero) * float(np.float32(scale)))
        assert abs(read.table[0, code] - min(max(value / float(np.float32(step)) + middle, 0), 255)) <= 0.501


def test_bounds_are_those_of_the_table():
    model = model_of(SPELLINGS["tanh"].write, 8, 8)
    bounds, tensors = find_bounds(model), IntegerReference(model)
    (name,) = [step.out.tensor for step in parse(model).steps if isinstance(step, TableStep)]
    found = bounds.codes[name]
    ends = [round(math.tanh(end) / MADE[8][0] + 60) for end in (-130 * 4 * PIXEL, 125 * 4 * PIXEL)]
    assert (found.low >= max(ends[0], 0)).all()
    assert (found.high <= ends[1]).all()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    seen = tensors.tensors(pixels)[name]
    assert (seen.min(axis=(0, 2, 3)) >= found.low.ravel()).all()
    assert (seen.max(axis=(0, 2, 3)) <= found.high.ravel()).all()


@pytest.mark.parametrize("most", [0, 1, 4])
def test_a_function_of_16_bits_is_a_table_and_the_steps_that_were_passed(most: int):
    """Up and down at any low byte, several at once, also between two high bytes; no step at all."""
    rng = np.random.default_rng(most)
    ups, downs = (rng.integers(0, most, (256, 255), endpoint=True) * (rng.random((256, 255)) < 0.01) for _ in range(2))
    table = np.cumsum(np.pad(ups - downs, ((0, 0), (1, 0))), axis=1) + rng.integers(60, 190, (256, 1))
    assert 0 <= table.min() <= table.max() <= 255
    operation, kept = lookup(
        table.reshape(1, -1).astype(np.uint8), Addend(View(2, 0, 1, wide=True), 1, 4), 9, View(1, 0, 1)
    )
    assert operation.steps is not None
    dot = replace(dot_product("portable"), table=ByteTable(1, 1, lambda row, codes: None, 1000))
    assert bytewise(operation, dot) == 1 + sum(operation.steps)
    base, *before = (one.reshape(256) for one in laid(operation, kept, dot))
    high, low = np.divmod(np.arange(65536), 256)
    passed = [np.where(low > one[high], 1, 0) for one in before]
    signs = [1] * operation.steps[0] + [-1] * operation.steps[1]
    found = base[high].astype(int) + sum(sign * one for sign, one in zip(signs, passed, strict=True))
    assert np.array_equal(found, table.reshape(-1))
    assert bytewise(operation, replace(dot, table=ByteTable(1, 1, lambda row, codes: None, 0))) == 0
