"""The cost model: MetaSchedule's, without what it would drag along."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tune.specs import task
from toolchain.errors import TuningError
from toolchain.kernels.intrinsics import dot_product
from toolchain.targets import find_target
from toolchain.tune.model import XGBoostModel
from toolchain.tune.space import tiles
from toolchain.tune.stores import StoreFeatures

TARGET = find_target("x86-sse4")


def test_it_learns_which_tiles_are_fast_and_carries_it_over():
    dot = dot_product(TARGET.instruction_set)
    model = XGBoostModel(StoreFeatures(TARGET))
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


def test_the_intrinsics_of_all_devices_stay_out():
    code = """
import sys
from tests.tune.test_model import TARGET, StoreFeatures, task, tiles, dot_product
from toolchain.tune.model import XGBoostModel
dot = dot_product(TARGET.instruction_set)
model = XGBoostModel(StoreFeatures(TARGET))
space = tiles(task().conv, dot.columns, dot)
model.learn(task(), {tile: 1.0 for tile in space[:8]})
print(len(model.scores(task(), space)) == len(space), [name for name in sys.modules if "tensor_intrin." in name],
      "tvm.s_tir.tensor_intrin" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "True [] False"


def test_without_xgboost_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(TuningError, match=r"the cost model needs XGBoost, .*; pip install xgboost-cpu"):
        XGBoostModel(StoreFeatures(TARGET))
