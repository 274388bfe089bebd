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
    family = model.name.split("_")[0]
    assert network.channels == (1 if family in ("sesr", "ecbsr") else 3)
    assert f"x{network.scale}" in model.name
    assert network.value_range == (0.0, 1.0)
    assert (network.clip is None) == ("unclipped" in model.name or family in ("espcn", "ecbsr", "repvgg", "mobileone"))
    assert model.path.stat().st_size < 1_500_000
    onnx.checker.check_model(network.model, full_check=True)


@pytest.mark.parametrize("model", MODELS)
def test_the_card_says_what_was_reached(model: Embedded):
    """Far above Pillow's bicubic enlargement of Set5: 33.7 dB at x2, 30.4 at x3, 28.4 at x4."""
    least = {2: 36.0, 3: 32.0, 4: 30.0}
    assert model.card["psnr_y"]["Set5"] > least[model.card["psnr_y"]["border"]]


def test_every_card_has_its_model():
    assert {path.stem for path in model_folder().glob("*.json")} == {model.name for model in list_models()}
    assert MODELS
