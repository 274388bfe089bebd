"""The cost model learns which tiles are fast."""

from __future__ import annotations

import sys

import pytest

from tests.tune.specs import task
from toolchain.kernels.intrinsics import dot_product
from toolchain.support.errors import TuningError
from toolchain.targets import find_target
from toolchain.tune.features import TileFeatures
from toolchain.tune.model import XGBoostModel
from toolchain.tune.search_space import tiles

TARGET = find_target("x86-sse4")


def test_it_learns_which_tiles_are_fast_and_carries_it_over():
    dot = dot_product(TARGET.instruction_set)
    model = XGBoostModel(TileFeatures(TARGET))
    one, other = task(60, 80, kernel=1), task(90, 160, kernel=1, inputs=16)
    space = tiles(one.conv, dot.columns, dot)
    assert model.scores(one, space) is None
    model.learn(one, {})
    assert model.scores(one, space) is None
    model.learn(one, {tile: 1.0 if tile.vectors == 1 else 0.5 for tile in space})
    for of in (one, other):
        scores = dict(zip(space, model.scores(of, space) or [], strict=True))
        fast = [score for tile, score in scores.items() if tile.vectors == 2]
        slow = [score for tile, score in scores.items() if tile.vectors == 1]
        assert sum(fast) / len(fast) > sum(slow) / len(slow) + 0.1
    assert model.scores(one, []) is None


def test_a_later_measurement_of_a_tile_counts():
    dot = dot_product(TARGET.instruction_set)
    model, one = XGBoostModel(TileFeatures(TARGET)), task(60, 80, kernel=1)
    space = tiles(one.conv, dot.columns, dot)
    model.learn(one, {tile: 1.0 if tile.vectors == 1 else 0.5 for tile in space})
    model.learn(one, {tile: 0.1 for tile in space if tile.vectors == 1})
    scores = dict(zip(space, model.scores(one, space) or [], strict=True))
    assert min(scores[tile] for tile in space if tile.vectors == 1) > max(
        scores[tile] for tile in space if tile.vectors > 1
    )


def test_without_xgboost_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(TuningError, match=r"the cost model needs XGBoost, .*; pip install 'clipfree\[tune\]'"):
        XGBoostModel(TileFeatures(TARGET))
