"""Of random networks, what is said of a target before any work is what becomes of them there."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.campaigns.foresight import describe, foreseen, unforeseen
from tests.campaigns.random_graph import random_graph
from toolchain.backends import backend_for
from toolchain.schedules.select import Tuning
from toolchain.support.errors import ModelError
from toolchain.targets import find_target
from toolchain.tune.network import quantize_quickly

pytestmark = [pytest.mark.slow, pytest.mark.campaign]

SEEDS = range(40, 50)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(seed: int, tmp_path: Path):
    graph, path = random_graph(seed), tmp_path / "network.onnx"
    onnx.save(graph.model, path)
    model = quantize_quickly(path, value_range=graph.value_range)
    said = foreseen(path, graph.value_range)
    assert unforeseen(said, model.model) == ""
    for name in ("mali-g78", *(["cortex-a76"] if seed % 5 == 0 else [])):
        target = find_target(name)
        try:
            did = describe(backend_for(target).compile(model, target, Tuning()).coverage)
        except ModelError as error:
            did = str(error)
        # Of what is compiled, how it streams is said behind it.
        assert did in (said[name], said[name].split(" segments")[0].rpartition("; ")[0])
