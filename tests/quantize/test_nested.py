"""Nested networks: codes in cells, safe pairs, members that are the reference's, and what cannot be asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quantize.helpers import QUICK, network, picture, pictures
from tests.quantize.test_pairs import check
from tests.quantize.test_weight_bits import WEIGHTS
from toolchain.frontend.nested_bits import Nesting
from toolchain.frontend.nested_file import read_nested, with_bits
from toolchain.quantize import IntegerReference, QuantizedModel, Settings, canonicalize, quantize
from toolchain.quantize.floats import FloatModel, to_float, to_pixels
from toolchain.quantize.nested_set import NestedSet, fewest_bits, within
from toolchain.quantize.packing import pack, say_bits
from toolchain.quantize.rounding import round_together
from toolchain.quantize.settings import for_deployment
from toolchain.quantize.spelling import for_runtimes
from toolchain.quantize.weight_bits import read_bits_nested
from toolchain.reference.graph import GraphView
from toolchain.support.errors import CalibrationError, InputError

FAST = replace(QUICK, tame=False, augment=False)
NESTS = st.sets(st.integers(2, 8), min_size=2).map(lambda bits: Nesting(tuple(sorted(bits, reverse=True))))


@cache
def made(name: str, bits: tuple[int, ...] = (8, 6, 4)) -> QuantizedModel:
    sr = network(name)
    return quantize(sr, pictures(sr.channels), replace(FAST, bits_nested=bits))


def member(q: QuantizedModel, bits: int) -> onnx.ModelProto:
    return read_nested(q.nested, "it").model(bits)


def weights(q: QuantizedModel, bits: int) -> dict[str, np.ndarray]:
    constants = GraphView(member(q, bits)).constants
    return {t.name: constants[f"{t.name}_quantized"] for t in q.recipe.tensors if t.role == "weight"}


def refined(nesting: Nesting, weights: np.ndarray, power: np.ndarray, *, together: bool) -> dict[int, np.ndarray]:
    """Round weights (O, I, kh, kw) member by member."""
    among: NestedSet = fewest_bits(nesting)
    scale = np.maximum(0.6 * among.least_scale(weights), 1e-6).astype(np.float32)
    found: dict[int, np.ndarray] = {}
    for index, bits in enumerate(reversed(nesting.bits)):
        if index:
            fewer = nesting.bits[-index]
            shift = bits - fewer
            scale, among = scale / np.float32(1 << shift), within(nesting, bits, found[fewer], shift)
        if together:
            found[bits], _ = round_together(weights, power, scale, among)
        else:
            found[bits] = among.rounded(weights / scale.astype(np.float64).reshape(-1, 1, 1, 1))
    return found


@settings(max_examples=60)
@given(WEIGHTS, NESTS, st.integers(0, 1000), st.booleans())
def test_members_are_slices_and_the_first_one_is_safe(
    weights: np.ndarray, nesting: Nesting, seed: int, together: bool
) -> None:
    taps = weights[0].size
    data = np.random.default_rng(seed).normal(0, 1, (taps, 3 * taps + 5))
    found = refined(nesting, weights, data @ data.T, together=together)
    first = found[nesting.bits[0]]
    check(first)
    for bits, codes in found.items():
        np.testing.assert_array_equal(nesting.sliced(first, bits), codes)
        if bits != nesting.bits[0]:
            assert np.abs(codes.astype(int)).max() < 2 ** (bits - 1)


@given(WEIGHTS, NESTS, st.data())
def test_neighbours_stay_in_their_cells(weights: np.ndarray, nesting: Nesting, data: st.DataObject) -> None:
    found = refined(nesting, weights, np.eye(weights[0].size), together=False)
    more, fewer = (found[bits] for bits in nesting.bits[:2])
    among = within(nesting, nesting.bits[0], fewer, nesting.bits[0] - nesting.bits[1])
    place = data.draw(st.integers(0, more.size - 1))
    for moved in among.neighbours(more.astype(np.float64)):
        one = more.copy()
        one.ravel()[place] = moved.ravel()[place]
        check(one)
        np.testing.assert_array_equal(nesting.sliced(one, nesting.bits[1]), fewer)


GROUPED = pytest.param("xlsr", (8, 6, 4), marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "bits"), [GROUPED, ("espcn", (8, 6, 4)), ("fsrcnn", (7, 5, 2))]
)  # the last transposed
def test_weights_of_each_member_begin_with_those_of_the_next(name: str, bits: tuple[int, ...]) -> None:
    q = made(name, bits)
    first = weights(q, bits[0])
    for number in bits:
        for name, codes in weights(q, number).items():
            np.testing.assert_array_equal(Nesting(bits).sliced(first[name], number), codes)
    assert member(q, bits[0]).SerializeToString(deterministic=True) == q.model.SerializeToString(deterministic=True)
    for codes in first.values():
        check(codes)


@pytest.mark.parametrize("name", [pytest.param("xlsr", marks=pytest.mark.slow), "espcn"])
def test_each_member_is_a_network_that_runtimes_and_the_reference_agree_on(name: str) -> None:
    q = made(name)
    pixels = picture(24, 29, q.channels, 7)
    for bits in (8, 6, 4):
        model = with_bits(member(q, bits), bits)
        read = canonicalize(model)
        assert {tensor.bits for tensor in read.recipe.tensors if tensor.role == "weight"} == {bits}
        wanted = IntegerReference(model).run(pixels)
        np.testing.assert_array_equal(IntegerReference(read.model).run(pixels), wanted)
        written = pack(for_runtimes(read.model), read.recipe)
        near = to_pixels(FloatModel(written).run(to_float(pixels, q.value_range)), q.value_range)
        assert np.abs(near.astype(int) - wanted).max() <= 1
        packed = [item for item in written.graph.initializer if item.data_type == onnx.TensorProto.INT4]
        assert bool(packed) == (bits == 4)


def test_more_bits_lose_less_and_the_recipe_says_so() -> None:
    q = made("espcn")
    recipe = {one.bits: one for one in q.recipe.nested}
    assert [*recipe] == [8, 6, 4]
    assert recipe[8].psnr > recipe[6].psnr > recipe[4].psnr
    assert [one.size for one in recipe.values()] == [len(read_nested(q.nested, "it").prefix(b)) for b in (8, 6, 4)]
    said = say_bits(q.recipe)
    assert said.startswith("nested weights: 8 bits in the first ")
    assert f"4 bits in the first {recipe[4].size / 1e3:.1f} kB: {recipe[4].drop:.3f} dB below float" in said
    assert f"({recipe[4].alone:.3f} if rounded for 4 bits alone)" in said


def test_codes_of_the_smallest_stay_near_their_weights() -> None:
    rng = np.random.default_rng(3)
    weights, data = rng.normal(0, 1, (4, 3, 3, 3)), rng.normal(0, 1, (27, 60)) @ rng.normal(0, 1, (60, 60))
    among = fewest_bits(Nesting((7, 4)))
    codes, scale = round_together(weights, data @ data.T, None, among)
    steps = weights / scale.astype(np.float64).reshape(-1, 1, 1, 1)
    inside = np.abs(steps) <= among.limit
    assert np.abs(codes - steps)[inside].max() <= among.reach
    assert np.abs(codes - steps)[inside].max() > 0.5  # and not all are the nearest


def test_a_channel_of_bias_alone_is_carried() -> None:
    sr = network("espcn")
    changed = onnx.ModelProto.FromString(sr.model.SerializeToString())
    convolution = next(node for node in changed.graph.node if node.op_type == "Conv")
    for item in changed.graph.initializer:
        if item.name == convolution.input[1]:
            values = onnx.numpy_helper.to_array(item).copy()
            values[0] = 0
            item.CopyFrom(onnx.numpy_helper.from_array(values, item.name))
    q = quantize(replace(sr, model=changed), pictures(sr.channels), replace(FAST, bits_nested=(8, 4)))
    assert read_nested(q.nested, "it").held == (4, 8)


def test_nothing_is_spent_beside_nested_weights() -> None:
    chosen = Settings(bits_nested=(8, 4))
    assert for_deployment(chosen) == chosen


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"bits_nested": (9, 4)}, "cannot have 9 bits"),
        ({"bits_nested": (8, 1)}, "cannot have 1 bits"),
        ({"bits_nested": (8,)}, "one number of bits is no nest"),
        ({"bits_nested": (4, 8)}, "nested bits must fall, 4,8 do not"),
        ({"bits_nested": (8, 8)}, "must fall"),
        ({"bits_nested": (8, 4), "weight_bits": {"*": 4}}, "same bits everywhere"),
        ({"bits_nested": (8, 4), "weight_bits": {"*": 4}, "codebook": True}, "no codebook"),
        ({"bits_nested": (8, 4), "spare_weights": True}, "same bits everywhere"),
        ({"bits_nested": (8, 4), "budget": 5.0}, "no tensors are chosen for 16 bits"),
        ({"bits_nested": (8, 4), "max_loss": 0.1}, "no tensors are chosen for 16 bits"),
    ],
)
def test_what_cannot_be_nested_is_a_sentence(given_: dict[str, object], sentence: str) -> None:
    with pytest.raises(CalibrationError, match=sentence):
        Settings(**given_)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["", "8,", "8;4", "eight", "8,-4"])
def test_words_that_are_not_understood(word: str) -> None:
    with pytest.raises(InputError, match="--bits-nested"):
        read_bits_nested(word)


def test_words_for_bits() -> None:
    assert read_bits_nested("8,6, 4") == (8, 6, 4)
