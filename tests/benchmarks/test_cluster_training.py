"""Codebooks that a benchmark learns: better against the float network, and bytes of the reference's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`")

from cluster_training import Plan, train
from tests.conftest import photograph
from toolchain.frontend import load_model, normalize
from toolchain.quantize import Settings, quantize
from toolchain.zoo.embedded import resolve

pytestmark = pytest.mark.train


def test_learning_brings_the_network_nearer_to_its_float_form() -> None:
    sr = normalize(load_model(resolve("zoo:quicksrnet_small_x2")))
    photographs = [photograph(64, 72, seed) for seed in range(6)]
    model = quantize(sr, photographs, Settings(crop=32, crops_per_image=2, weight_bits={"*": 2}, codebook=True))
    found = train(sr, model, photographs, Plan(steps=160, batch=4, patch=16, judge=40))
    assert found.after > found.before + 0.3
    assert found.step > 0
    assert found.model.SerializeToString() != model.model.SerializeToString()
