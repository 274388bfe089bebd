"""Estimators for some tensors: names, patterns, shared ranges, and what cannot be followed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.quantize.helpers import QUICK, network, pictures, psnr, quantized
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.overrides import choose_estimators
from toolchain.quantize.plan import QuantizationPlan, make_plan
from toolchain.quantize.weights import scale_by
from toolchain.reference.graph import GraphView
from toolchain.reference.pairs import LIMIT, PAIR, least_scale
from toolchain.support.errors import CalibrationError


def plan_of(groups: dict[str, str], pinned: str = "input") -> QuantizationPlan:
    names = tuple(groups)
    return QuantizationPlan(
        names, groups, frozenset({pinned}), {}, {}, (), tuple(n for n in names if groups[n] != pinned)
    )


PLAN = plan_of({"input": "input", "head/relu": "head/relu", "body/a": "body/a", "body/b": "body/a", "tail": "tail"})


def test_a_name_goes_before_a_long_pattern_before_a_short_one() -> None:
    chosen = choose_estimators(PLAN, {"*": "minmax", "head*": "entropy", "tail": "average", "tai*": "mse"}, "mse")
    assert chosen == {"head/relu": "entropy", "body/a": "minmax", "tail": "average"}


def test_tensors_that_share_a_range_share_what_is_said_of_one() -> None:
    assert choose_estimators(PLAN, {"body/b": "minmax"}, "mse")["body/a"] == "minmax"
    plan = plan_of({"input": "input", "body/a": "body/a", "body/long": "body/a"})
    with pytest.raises(CalibrationError, match=r"'body/a' and 'body/long' share one range.*entropy and minmax"):
        choose_estimators(plan, {"body/a": "entropy", "body/long": "minmax"}, "mse")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("nowhere", "no quantized tensor 'nowhere'"),
        ("no*", r"no quantized tensor 'no\*'"),
        ("input", "'input' holds pixels"),
        ("weight", "'weight' is a constant of the model"),
    ],
)
def test_what_fits_nothing_is_said(key: str, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        choose_estimators(PLAN, {key: "mse"}, "mse", constants=("weight",))


@pytest.mark.parametrize("name", ["percentile:99", "entropy", "average"])
def test_a_network_quantized_with_every_estimator(name: str) -> None:
    recipe = quantize(network("espcn"), pictures(1), replace(QUICK, activations=name)).recipe
    inner = [tensor for tensor in recipe.tensors if tensor.role == "activation" and tensor.source != "pixels"]
    assert {tensor.estimator for tensor in inner} == {name}
    assert recipe.settings["activations"] == name


def test_patterns_reach_the_recipe() -> None:
    first = quantized("espcn").recipe.tensors[1]
    settings = replace(QUICK, overrides={f"{first.name[:3]}*": "percentile:99.5"})
    chosen = quantize(network("espcn"), pictures(1), settings).recipe
    assert chosen.tensors[1].estimator == "percentile:99.5"
    assert chosen.settings["overrides"] == dict(settings.overrides)


def test_a_tensor_that_is_always_zero_is_warned_of() -> None:
    sr = network("xlsr")
    quiet = quantize(sr, pictures(3), QUICK).recipe.warnings
    assert not any("was zero on every calibration image" in warning for warning in quiet)
    name = make_plan(sr).observed[0]
    node = next(node for node in sr.model.graph.node if node.op_type == "Conv")
    model = type(sr.model)()
    model.CopyFrom(sr.model)
    for tensor in model.graph.initializer:
        if tensor.name in node.input:
            tensor.raw_data = bytes(len(tensor.raw_data))
    said = quantize(replace(sr, model=model), pictures(3), replace(QUICK, equalize=False)).recipe.warnings
    assert any(f"'{name}' was zero on every calibration image" in warning for warning in said)


def test_weights_by_percentile_saturate_outliers_only() -> None:
    weights = np.random.default_rng(0).normal(0, 1, (4, 8, 5, 5))
    weights[:, 0, 0, 0] = 50
    scale = scale_by("percentile:99")(weights)
    # Two neighbours of one sign have PAIR codes together: what saturates is what no pair reaches.
    assert np.all(scale * PAIR / 2 < 4)
    assert np.all((np.abs(weights) > scale[:, None, None, None] * LIMIT).mean(axis=(1, 2, 3)) <= 0.01)
    np.testing.assert_array_equal(scale_by("percentile:100")(weights), scale_by("minmax")(weights))
    with pytest.raises(CalibrationError, match=r"no weight estimator 'entropy'.*percentile:P"):
        Settings(weights="entropy")


def test_weights_whose_range_is_chosen_keep_it_when_they_are_reconstructed() -> None:
    sr, images = network("espcn"), pictures(1)
    made = {name: quantize(sr, images, replace(QUICK, equalize=False, weights=name)) for name in ("minmax", "output")}
    scales = {
        name: [tensor for tensor in model.recipe.tensors if tensor.role == "weight"] for name, model in made.items()
    }
    constants = GraphView(sr.model).constants
    for tensor in scales["minmax"]:
        np.testing.assert_allclose(tensor.scale, least_scale(constants[tensor.name].astype(np.float64)), rtol=1e-6)
        assert tensor.estimator == "minmax"
    assert any(one.scale != other.scale for one, other in zip(scales["minmax"], scales["output"], strict=True))
    exact = FloatModel(sr.model).run(to_float(images[0], sr.value_range))[0].transpose(1, 2, 0) * 255
    plain = quantize(sr, images, replace(QUICK, equalize=False, weights="minmax", reconstruct=False))
    nearest, kept = (
        psnr(IntegerReference(model.model).run(images[0]), np.clip(exact, 0, 255)) for model in (plain, made["minmax"])
    )
    assert kept > nearest + 0.5
