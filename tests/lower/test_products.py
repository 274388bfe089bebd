"""Products, extremes and global pooling in compiled networks: the integer reference's bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lower.compiled import assert_equal
from tests.lower.products import POOLED, PRODUCTS, finished
from toolchain.lower.memory import storages
from toolchain.targets import find_target


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_and_extremes_stream(name: str):
    model, host = finished(PRODUCTS[name]), find_target("host")
    for cache in (host.cache, 1):
        found = assert_equal(model, replace(host, cache=cache))
        assert found.stream is not None
        assert not found.coverage.float_operators
        assert {entry.dtype for entry in storages(found.planned, 90, 160)} == {"uint8"}


@pytest.mark.parametrize("name", POOLED)
def test_global_pooling_is_integer_and_rows_stream_to_it_and_on(name: str):
    found = assert_equal(finished(POOLED[name]), spread=10)
    assert found.stream is None
    assert len(found.segments) > 1
    assert not found.coverage.float_operators
    assert found.coverage.integer_convolutions == found.coverage.convolutions
    assert "float32" not in {entry.dtype for entry in storages(found.planned, 90, 160)}


@pytest.mark.parametrize("name", ["x86-avx2", "x86-sse4"])
def test_other_processors(name: str):
    target = find_target(name)
    for end in (
        PRODUCTS["16 and 8 bits"],
        PRODUCTS["product, PReLU"],
        PRODUCTS["normalized odd parts"],
        PRODUCTS["normalized, 16 bits"],
        PRODUCTS["of odd parts"],
        PRODUCTS["smallest channel of 16 bits"],
        PRODUCTS["16 bits of 8"],
        POOLED["contrast"],
        POOLED["attention of 16 bits"],
    ):
        assert_equal(finished(end), target, sizes=((5, 7), (9, 81)))
