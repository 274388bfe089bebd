"""The cost model on cuts: the estimate before anything was measured, what was learnt after."""

from __future__ import annotations

from tests.opencl.devices import GPU
from tests.tune.specs import conv
from toolchain.backends.opencl.choose import task_of
from toolchain.backends.opencl.estimate import cuts
from toolchain.backends.opencl.job import Job
from toolchain.tune.model import XGBoostModel
from toolchain.tune.opencl.features import CutFeatures, GuessingModel


def test_it_begins_with_the_estimate_and_learns_what_is_measured():
    task, other = task_of(Job(conv(28, 32)), 90, 160), task_of(Job(conv(16, 32)), 45, 80)
    space = [cut for cut, _ in cuts(Job(conv(28, 32)), GPU, 90, 160)][::40]
    model = GuessingModel(XGBoostModel(CutFeatures(GPU)), GPU)
    guessed = model.scores(task, space)
    assert guessed == sorted(guessed or [], reverse=True)
    model.learn(task, {cut: 0.2 if cut.unroll else 1.0 for cut in space})  # which the estimate does not think
    for of in (task, other):
        scores = dict(zip(space, model.scores(of, space) or [], strict=True))
        fast = [score for cut, score in scores.items() if cut.unroll]
        slow = [score for cut, score in scores.items() if not cut.unroll]
        assert min(fast) > max(slow)
