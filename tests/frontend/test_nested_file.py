"""Nested networks: slicing codes, bit planes, the file, its beginnings, and files that are not what they were."""

from __future__ import annotations

import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend import load_model
from toolchain.frontend.nested_bits import Nesting, is_falling
from toolchain.frontend.nested_file import MAGIC, read_nested, stated_bits, with_bits, write_nested
from toolchain.support.errors import ModelError

NESTS = st.sets(st.integers(2, 8), min_size=2).map(lambda bits: Nesting(tuple(sorted(bits, reverse=True))))
EIGHT = Nesting((8, 6, 4))
HEAD = len(MAGIC) + 4 + 32


def room(nesting: Nesting) -> tuple[int, int]:
    """Return the codes of the first member between which all others have theirs."""
    half = 1 << (nesting.bits[0] - 1)
    return -half + (1 << nesting.shift(nesting.bits[-1])) - nesting.offset, half - 1 - nesting.offset


def naive(codes: np.ndarray, bits: tuple[int, ...]) -> list[int]:
    """Divide by 2 ** (bits taken off) and round, halves up, from each member to the next."""
    found = [int(code) for code in codes.ravel()]
    for more, fewer in pairwise(bits):
        found = [math.floor(code / 2 ** (more - fewer) + 0.5) for code in found]
    return found


@given(NESTS, st.data())
def test_slices_are_what_is_rounded_from_member_to_member(nesting: Nesting, data: st.DataObject) -> None:
    low, high = room(nesting)
    codes = np.array(data.draw(st.lists(st.integers(max(low, -128), high), min_size=1)), np.int8)
    for index, bits in enumerate(nesting.bits):
        assert nesting.sliced(codes, bits).tolist() == naive(codes, nesting.bits[: index + 1])
        assert np.abs(nesting.sliced(codes, bits).astype(int)).max() < 2 ** (bits - 1) or index == 0


@given(NESTS, st.data())
def test_first_planes_are_the_smaller_members(nesting: Nesting, data: st.DataObject) -> None:
    low, high = room(nesting)
    codes = np.array(data.draw(st.lists(st.integers(max(low, -128), high), min_size=1)), np.int8)
    planes = nesting.planes(codes)
    assert planes.shape == (nesting.bits[0], codes.size)
    for bits in nesting.bits:
        np.testing.assert_array_equal(nesting.of_planes(planes[:bits], bits), nesting.sliced(codes, bits))


def test_zero_stays_zero_and_a_half_goes_up() -> None:
    nesting = Nesting((8, 6, 4))
    codes = np.array([0, 1, 2, -2, -3, 5, 6, -10, -11, 117, -122], np.int8)
    assert nesting.sliced(codes, 8).tolist() == codes.tolist()
    assert nesting.sliced(codes, 6).tolist() == [0, 0, 1, 0, -1, 1, 2, -2, -3, 29, -30]
    assert nesting.sliced(codes, 4).tolist() == [0, 0, 0, 0, 0, 0, 1, 0, -1, 7, -7]


@pytest.mark.parametrize("bits", [(8,), (4, 6), (6, 6), (9, 4), (8, 1), ()])
def test_other_bits_make_no_nest(bits: tuple[int, ...]) -> None:
    assert not is_falling(bits)


def member(nesting: Nesting, bits: int, codes: list[np.ndarray], seed: int) -> onnx.ModelProto:
    """Two convolutions one after the other as `write_qdq` spells their weights, in floats between."""
    rng, shift = np.random.default_rng(seed), np.float32(2 ** nesting.shift(bits))
    nodes, constants, x = [], [], "input"
    for index, code in enumerate(codes):
        name, outputs = f"w{index}", len(code)
        scale = (0.01 * shift * np.arange(1, outputs + 1)).astype(np.float32)
        values = {
            f"{name}_quantized": nesting.sliced(code, bits),
            f"{name}_scale": scale,
            f"{name}_zero_point": np.zeros(outputs, np.int8),
            f"{name}_bias_quantized": rng.integers(-(2**30), 2**30, outputs).astype(np.int32),
            f"{name}_bias_scale": scale / 256,
        }
        constants += [numpy_helper.from_array(value, key) for key, value in values.items()]
        nodes += [
            helper.make_node("DequantizeLinear", list(values)[:3], [f"{name}_real"], axis=0),
            helper.make_node("DequantizeLinear", list(values)[3:], [f"{name}_bias"], axis=0),
            helper.make_node("Conv", [x, f"{name}_real", f"{name}_bias"], [f"x{index}"], pads=[1, 1, 1, 1]),
        ]
        x = f"x{index}"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, "h", "w"]) for n in ("input", x)]
    graph = helper.make_graph(nodes, "two", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def nest(nesting: Nesting, seed: int = 0) -> dict[int, onnx.ModelProto]:
    rng = np.random.default_rng(seed)
    low, high = room(nesting)
    codes = [rng.integers(max(low, -128), high + 1, shape).astype(np.int8) for shape in ((5, 3, 3, 3), (3, 5, 3, 3))]
    return {bits: member(nesting, bits, codes, seed + bits) for bits in nesting.bits}


def whole() -> bytes:
    return write_nested(nest(EIGHT), ["w0", "w1"])


def text(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)


@given(NESTS, st.integers(0, 99))
def test_every_member_comes_back_from_the_file_and_from_its_beginning(nesting: Nesting, seed: int) -> None:
    members = nest(nesting, seed)
    data = write_nested(members, ["w0", "w1"])
    found = read_nested(data, "it")
    assert found.held == tuple(sorted(nesting.bits))
    for bits, model in members.items():
        assert text(found.model(bits)) == text(model)
        beginning = found.prefix(bits)
        assert data.startswith(beginning)
        short = read_nested(beginning, "it")
        assert short.held[-1] == bits
        assert text(short.model(bits)) == text(model)
    assert found.prefix(nesting.bits[0]) == data


def test_a_beginning_is_as_large_as_its_bits() -> None:
    found = read_nested(whole(), "it")
    sizes = [len(found.prefix(bits)) for bits in (4, 6, 8)]
    weights, biases = 2 * 135, 4 * 8
    plane = -(-weights // 8)
    assert sizes[1] - sizes[0] == sizes[2] - sizes[1] == 2 * plane + biases


def test_a_file_is_a_model_for_every_command(tmp_path: Path) -> None:
    members = nest(EIGHT)
    path = tmp_path / "two.nested"
    for bits in (8, 6, 4):
        path.write_bytes(read_nested(whole(), "it").prefix(bits))
        found = load_model(path)
        assert stated_bits(found) == bits
        assert text(found) == text(with_bits(members[bits], bits))


def test_networks_of_no_nest_are_refused() -> None:
    members = nest(EIGHT)
    (weight,) = (item for item in members[4].graph.initializer if item.name == "w0_quantized")
    weight.raw_data = bytes(len(weight.raw_data))
    with pytest.raises(ModelError, match="4 bits is none of this nest"):
        write_nested(members, ["w0", "w1"])


def test_a_file_that_is_cut_within_a_part_says_where_it_could_be() -> None:
    data = whole()
    found = read_nested(data, "it")
    for size in (len(found.prefix(4)) - 1, len(found.prefix(4)) + 1, len(data) - 1):
        with pytest.raises(ModelError, match=r"it: it is cut off within its part of [468] bits") as caught:
            read_nested(data[:size], "it")
        assert all(str(len(found.prefix(bits))) in str(caught.value.hint) for bits in (4, 6, 8))


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_byte_can_be_changed_unseen(place: int, change: int) -> None:
    data = bytearray(whole())
    data[place % len(data)] ^= change
    with pytest.raises(ModelError):
        read_nested(bytes(data), "it")


@given(st.integers(0, 10**6))
def test_a_file_cut_anywhere_is_a_smaller_network_or_a_sentence(size: int) -> None:
    data = whole()
    ends = {len(read_nested(data, "it").prefix(bits)): bits for bits in (4, 6, 8)}
    size %= len(data)
    if size in ends:
        assert read_nested(data[:size], "it").held[-1] == ends[size]
    else:
        with pytest.raises(ModelError, match=r"^it: "):
            read_nested(data[:size], "it")


def test_a_longer_file_is_refused() -> None:
    with pytest.raises(ModelError, match="longer than it was"):
        read_nested(whole() + b"0", "it")


def forged(**changes: object) -> bytes:
    """Return the file with another header, which has the right checksum."""
    data = whole()
    size = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
    header = {**json.loads(data[HEAD : HEAD + size]), **changes}
    written = json.dumps(header).encode()
    return MAGIC + len(written).to_bytes(4, "little") + hashlib.sha256(written).digest() + written + data[HEAD + size :]


def parts(*bits: int) -> list[dict[str, object]]:
    return [{"bits": number, "size": 100, "sha256": "0"} for number in bits]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "other"}, "another program"),
        ({"format_version": 2}, "it has format 2, read here is 1"),
        ({"parts": parts(6, 4)}, "do not fall"),
        ({"parts": parts(4, 9)}, "garbles"),
        ({"parts": parts(4, 6)}, "sizes contradict"),
        ({"layers": []}, "sizes contradict"),
        ({"layers": [{"name": "w0", "shape": [-1], "biases": 5}]}, "garbles"),
        ({"layers": [{"name": "w0", "shape": [2**28] * 9, "biases": 5}]}, "sizes contradict"),
        ({"unpacked": 2**40}, "garbles"),
        ({"packed": "many"}, "garbles"),
    ],
)
def test_a_header_that_lies_is_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        read_nested(forged(**changes), "it")


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            [{"name": "w0", "shape": [5, 3, 3, 3], "biases": 5}, {"name": "w2", "shape": [3, 5, 3, 3], "biases": 3}],
            "w2_",
        ),
        (
            [{"name": "w0", "shape": [3, 5, 3, 3], "biases": 5}, {"name": "w1", "shape": [3, 5, 3, 3], "biases": 3}],
            "w0_",
        ),
        (
            [{"name": "w0", "shape": [5, 3, 3, 3], "biases": 4}, {"name": "w1", "shape": [3, 5, 3, 3], "biases": 4}],
            "w0_",
        ),
    ],
)
def test_weights_that_the_network_does_not_have(layers: list[dict[str, object]], sentence: str) -> None:
    with pytest.raises(ModelError, match=f"its network has no '{sentence}"):
        read_nested(forged(layers=layers), "it").model(4)


def test_a_network_that_unpacks_to_more_than_it_says_is_not_unpacked() -> None:
    with pytest.raises(ModelError, match="its network cannot be read"):
        read_nested(forged(unpacked=10), "it").model(4)


@given(arrays(np.uint8, st.integers(0, 200)))
def test_noise_behind_the_mark_is_a_sentence(noise: np.ndarray) -> None:
    with pytest.raises(ModelError):
        read_nested(MAGIC + noise.tobytes(), "it")
