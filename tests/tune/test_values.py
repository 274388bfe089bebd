"""Values as JSON and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tune.specs import conv
from toolchain.kernels.spec import Conv, DepthToSpace, Operand, Requantize, View
from toolchain.kernels.tile import Tile
from toolchain.support.serialization import from_plain, to_plain

counts = st.integers(0, 2**40)
views = st.builds(View, counts, counts, counts)
floats = st.floats(allow_nan=False)
operands = st.builds(Operand, views, counts, counts, counts, floats, st.lists(counts, max_size=3).map(tuple))
requantizes = st.builds(
    Requantize,
    st.integers(),
    st.integers(),
    counts,
    st.booleans(),
    st.none() | st.tuples(floats, floats),
    st.none() | operands,
)
pixels = st.builds(DepthToSpace, counts, counts, st.lists(counts, max_size=9).map(tuple))
pairs = st.tuples(counts, counts)
convs = st.builds(Conv, views, counts, counts, pairs, pairs, pairs, requantizes, views, st.none() | pixels)


@given(convs)
def test_what_is_written_is_read(value: Conv):
    assert from_plain(Conv, json.loads(json.dumps(to_plain(value), allow_nan=False))) == value


def test_defaults_are_left_out():
    assert to_plain(Tile(2, 4)) == {"vectors": 2, "channels": 4}
    assert to_plain(Tile(2, 4, unroll=True)) == {"vectors": 2, "channels": 4, "unroll": True}


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ([], "must be a table"),
        ({"vectors": 2}, "Tile lacks 'channels'"),
        ({"vectors": 2, "channels": 4, "speed": 1}, "has no field 'speed'"),
        ({"vectors": True, "channels": 4}, "Tile.vectors cannot be True"),
        ({"vectors": 2.0, "channels": 4}, "Tile.vectors cannot be 2.0"),
        ({"vectors": "2", "channels": 4}, "Tile.vectors cannot be '2'"),
        ({"vectors": 2, "channels": 4, "outer": "rows"}, "one of 'columns', 'channels', not 'rows'"),
        ({"vectors": 2, "channels": 4, "outer": []}, "must be one of"),
        ({"vectors": 2, "channels": 4, "unroll": 1}, "Tile.unroll cannot be 1"),
    ],
)
def test_what_is_no_tile_is_refused(table: object, complaint: str):
    with pytest.raises((TypeError, ValueError), match=complaint):
        from_plain(Tile, table)


@pytest.mark.parametrize(
    ("field", "value"),
    [("kernel", [3]), ("kernel", 3), ("source", {"total": 1}), ("groups", None), ("pixels", []), ("pads", [1, "1"])],
)
def test_what_is_no_convolution_is_refused(field: str, value: object):
    with pytest.raises((TypeError, ValueError)):
        from_plain(Conv, {**to_plain(conv()), field: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "1"])
def test_numbers_that_are_none(value: object):
    table = to_plain(conv(residual=True))
    table["requantize"]["residual"]["multiplier"] = value
    with pytest.raises(ValueError, match="multiplier cannot be"):
        from_plain(Conv, table)
