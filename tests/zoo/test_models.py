"""Every embedded model is the file its card describes, and a network this tool can normalize."""

from __future__ import annotations

import hashlib

import onnx
import pytest

from toolchain.frontend import normalize
from toolchain.frontend.load import load_model
from toolchain.zoo.embedded import Embedded, list_models, model_folder

MODELS = [pytest.param(model, id=model.name) for model in list_models()]


@pytest.mark.parametrize("model", MODELS)
def test_card(model: Embedded):
    assert model.card["name"] == model.name
    assert model.card["sha256"] == hashlib.sha256(model.path.read_bytes()).hexdigest()
    assert model.card["steps"] > 0
    assert model.card["photographs"]
    assert not any("/" in name for name in model.card["photographs"]), "names, not paths"


@pytest.mark.parametrize("model", MODELS)
def test_network(model: Embedded):
    network = normalize(load_model(model.path))
    assert network.channels == 3
    assert f"x{network.scale}" in model.name
    assert network.value_range == (0.0, 1.0)
    assert (network.clip is None) == ("unclipped" in model.name)
    assert model.path.stat().st_size < 1_000_000
    onnx.checker.check_model(network.model, full_check=True)


def test_every_card_has_its_model():
    assert {path.stem for path in model_folder().glob("*.json")} == {model.name for model in list_models()}
    assert MODELS
