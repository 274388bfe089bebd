"""Constants as the kernels want them: words of four input channels, padding, groups, folded zero points."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import PACK, blocks_of
from toolchain.lower.weights import Arranged, arrange, densify, pad
from toolchain.reference.arithmetic import multiplier
from toolchain.reference.convolution import Convolution
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import Codes, ConvStep
from toolchain.support.errors import ModelError

PLAIN, PAIRED = dot_product("portable"), dot_product("sse4")


def chain(inputs: int, outputs: int, k: int = 1, *, groups: int = 1, zero: int = 0, seed: int = 0) -> ConvStep:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (outputs, inputs // groups, k, k)).astype(np.int8)
    scale = rng.uniform(1e-3, 1e-2, outputs).astype(np.float32)
    bias = rng.integers(-999, 999, outputs).astype(np.int32)
    convolution = Convolution(weight, bias, pads=(k // 2,) * 4, group=groups)
    source, out = Codes(None, Quantization(0.02, zero)), Codes(None, Quantization(0.03, 0))
    return ConvStep(out, None, source, convolution, scale, None, None, None)


def accumulate(arranged: Arranged, words: np.ndarray, paired: bool) -> np.ndarray:
    """What a 1x1 kernel computes of codes ``words`` (blocks, 4) with the arrays that it is given."""
    dot, given, groups = PAIRED if paired else PLAIN, arranged.parameters, arranged.groups
    weights = dot.stored(given.weights)[:, :, 0, 0].astype(np.int64)
    weights = weights[..., [0, 2, 1, 3]] if paired else weights  # the order is its own inverse
    sums = dot.folded(given.bias, given.weights, given.zero_point).astype(np.int64)
    per_in, per_out = len(words) // groups, len(weights) // groups
    for channel in range(len(weights)):
        first = channel // per_out * per_in
        sums[channel] += (weights[channel] * words[first : first + per_in]).sum()
    return sums


@st.composite
def problems(draw: st.DrawFn) -> tuple[ConvStep, tuple[int, ...], int]:
    groups = draw(st.integers(1, 4))
    inputs, outputs = groups * draw(st.integers(1, 8)), groups * draw(st.integers(1, 8))
    found = chain(inputs, outputs, groups=groups, zero=draw(st.integers(0, 255)), seed=draw(st.integers(0, 99)))
    gaps = draw(st.booleans()) and inputs > 1
    blocks = blocks_of(inputs) + gaps
    slots = tuple(channel + (PACK if gaps and channel >= inputs // 2 else 0) for channel in range(inputs))
    return found, slots, blocks


@given(problems(), st.booleans(), st.integers(0, 99))
def test_the_sums_are_those_of_the_model(problem: tuple[ConvStep, tuple[int, ...], int], paired: bool, seed: int):
    found, slots, blocks = problem
    arranged = arrange(found, slots, blocks, None)
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 256, (blocks, PACK))  # unused slots hold anything: nobody may read them
    codes = words.reshape(-1)[list(slots)] - found.source.quantization.zero_point
    outputs, inputs = found.convolution.weight.shape[:2]
    wanted = found.convolution.bias.astype(np.int64)
    for channel in range(outputs):
        first = channel // (outputs // found.convolution.group) * inputs
        wanted[channel] += (
            found.convolution.weight[channel, :, 0, 0].astype(np.int64) * codes[first : first + inputs]
        ).sum()
    got, given = accumulate(arranged, words, paired), arranged.parameters
    np.testing.assert_array_equal(got[:outputs], wanted)
    assert (given.weights[outputs:] == 0).all()
    assert (got[outputs:] == 0).all()
    assert len(given.bias) == len(given.multiplier) == len(given.weights) == blocks_of(outputs) * PACK


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_densify(groups: int, inputs: int, outputs: int):
    weight = chain(groups * inputs, groups * outputs, 3, groups=groups).convolution.weight
    dense = densify(weight, groups)
    assert dense.shape == (groups * outputs, groups * inputs, 3, 3)
    for channel in range(groups * outputs):
        group = channel // outputs
        own = slice(group * inputs, (group + 1) * inputs)
        np.testing.assert_array_equal(dense[channel, own], weight[channel])
    assert np.abs(dense.astype(int)).sum() == np.abs(weight.astype(int)).sum()


def test_groups_stay_where_they_fall_on_whole_words():
    assert arrange(chain(16, 32, groups=4), tuple(range(16)), 4, None).groups == 4
    assert arrange(chain(16, 32, groups=4), tuple(range(16)), 5, None).groups == 1
    assert arrange(chain(16, 24, groups=4), tuple(range(16)), 4, None).groups == 1
    assert arrange(chain(8, 32, groups=4), tuple(range(8)), 2, None).groups == 1


def test_multipliers_are_those_of_the_reference():
    found = chain(4, 7)
    given = arrange(found, (0, 1, 2, 3), 1, np.arange(7, dtype=np.float32)).parameters
    np.testing.assert_array_equal(given.multiplier[:7], multiplier(0.02, found.weight_scale, 0.03))
    np.testing.assert_array_equal(given.slopes, [0, 1, 2, 3, 4, 5, 6, 0])
    assert given.multiplier[7] == 0


def test_weights_of_a_slot_that_is_read_twice_are_added():
    found = chain(4, 4)
    found.convolution.weight[:] = 50
    assert arrange(found, (0, 1, 0, 1), 1, None).parameters.weights[0, :, 0, 0].tolist() == [100, 100, 0, 0]
    found.convolution.weight[:] = 100
    with pytest.raises(ModelError, match="add up beyond int8"):
        arrange(found, (0, 1, 0, 1), 1, None)


def test_an_accumulator_that_could_overflow_is_refused():
    found = chain(4, 4, zero=128)
    limit = 2**31 - 1 - 255 * int(np.abs(found.convolution.weight[1].astype(int)).sum())
    folded = limit + 128 * int(found.convolution.weight[1].astype(int).sum())
    for bias, fits in ((folded, True), (folded + 1, False)):
        if not -(2**31) <= bias < 2**31:
            pytest.fail("choose another seed: this bias is no int32 itself")
        biases = found.convolution.bias.copy()
        biases[1] = bias
        changed = dataclasses.replace(found, convolution=dataclasses.replace(found.convolution, bias=biases))
        if fits:
            given = arrange(changed, (0, 1, 2, 3), 1, None).parameters
            assert given.bias[1] == folded
            assert PLAIN.folded(given.bias, given.weights, given.zero_point)[1] == limit
            assert given.largest(255)[1] < 2**31
        else:
            with pytest.raises(ModelError, match="accumulator could overflow"):
                arrange(changed, (0, 1, 2, 3), 1, None)


def test_pad():
    assert pad(np.float32([1, 2]), 4).tolist() == [1, 2, 0, 0]
