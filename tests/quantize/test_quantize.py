"""The whole step: deterministic, sensible on bad photographs, described by its recipe."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

from tests.quantize.helpers import QUICK, network, picture, pictures, psnr, quantized, small_model
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.crops import stress
from toolchain.support.errors import CalibrationError, InputError
from toolchain.workflows.evaluate import float_upscale


@pytest.mark.parametrize("name", ["xlsr", "abpn"])
def test_equal_inputs_give_equal_bytes(name: str) -> None:
    again = quantize(network(name), pictures(3), QUICK)
    assert again.model.SerializeToString() == quantized(name).model.SerializeToString()
    assert again.recipe.to_json() == quantized(name).recipe.to_json()


@pytest.mark.parametrize("name", ["xlsr", "fsrcnn"])
def test_the_number_of_threads_does_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sr, found = network(name), []
    for cores in (1, 3):
        for module in ("support.parallel", "quantize.observe", "quantize.pipeline"):
            monkeypatch.setattr(f"toolchain.{module}.usable_cores", lambda cores=cores: cores)
        made = quantize(sr, pictures(sr.channels), QUICK)
        found.append((made.model.SerializeToString(deterministic=True), made.recipe.to_json()))
    assert found[0] == found[1]


def test_the_seed_and_the_photographs_matter() -> None:
    other = quantize(network("xlsr"), pictures(3), replace(QUICK, seed=1))
    assert other.model.SerializeToString() != quantized("xlsr").model.SerializeToString()
    assert other.recipe.images == quantized("xlsr").recipe.images
    fewer = quantize(network("xlsr"), pictures(3)[1:], QUICK)
    assert fewer.recipe.images[0].sha256 == other.recipe.images[1].sha256


def test_the_recipe_holds_every_tensor() -> None:
    q = quantized("xlsr")
    recipe = q.recipe
    assert [tensor["name"] for tensor in json.loads(recipe.to_json())["tensors"]] == [t.name for t in recipe.tensors]
    constants = {item.name for item in q.model.graph.initializer}
    assert all(f"{tensor.name}_scale" in constants for tensor in recipe.tensors)
    named = {f"{tensor.name}_scale" for tensor in recipe.tensors}
    assert {name for name in constants if name.endswith("_scale")} == named
    assert recipe.representative is not None
    assert recipe.representative.proved
    ends = [tensor for tensor in recipe.tensors if tensor.source == "pixels"]
    assert {tensor.scale for tensor in ends} == {(float(np.float32(1 / 255)),)}


@pytest.mark.parametrize("channels", [1, 3])
def test_stressed_crops_are_harder_and_the_same_every_time(channels: int) -> None:
    crops = [picture(20, 22, channels, seed) // 4 + 60 for seed in range(4)]
    first, again = stress(crops, 5), stress(crops, 5)
    for crop, hard, same in zip(crops, first, again, strict=True):
        np.testing.assert_array_equal(hard, same)
        assert hard.shape == crop.shape
        assert np.ptp(hard) > 240 > np.ptp(crop)
    assert any((a != b).any() for a, b in zip(first, stress(crops, 6), strict=True))


def flat(value: int) -> np.ndarray:
    return np.full((64, 64, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "no calibration images"),
        ([flat(3), flat(200)], "one flat colour"),
        ([picture(8, 90, 3)], r"smaller than the network's receptive field of \d+ x \d+"),
        ([picture(40, 40, 1)], "calibration image 1 is uint8"),
        ([picture(40, 40, 3).astype(np.float32)], "calibration image 1 is float32"),
    ],
)
def test_photographs_that_cannot_be_used(images: list[np.ndarray], said: str) -> None:
    sr = replace(network("xlsr"), halo=5)
    with pytest.raises(CalibrationError, match=said):
        quantize(sr, images, QUICK)


def test_unusable_photographs_among_good_ones_are_left_out_and_few_are_warned_of() -> None:
    sr = replace(network("xlsr"), halo=5)
    recipe = quantize(sr, [picture(8, 90, 3), flat(9), picture(60, 60, 3)], QUICK).recipe
    assert [image.index for image in recipe.images] == [2]
    text = " ".join(recipe.warnings)
    assert "1 of 3 images left out: smaller" in text
    assert "1 of 3 images left out: one flat colour" in text
    assert "only 1 calibration image:" in text


@pytest.mark.parametrize(
    "wrong", [{"activations": "magic"}, {"weights": "magic"}, {"overrides": {"x": "magic"}}, {"crop": 0}, {"seed": -1}]
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(CalibrationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_an_estimator_can_be_chosen_for_one_tensor() -> None:
    first = quantized("espcn").recipe.tensors[1]
    settings = replace(QUICK, overrides={first.name: "minmax"}, equalize=False)
    chosen = quantize(network("espcn"), pictures(1), settings).recipe.tensors[1]
    assert (first.estimator, chosen.estimator) == ("percentile:99.99", "minmax")
    assert chosen.high is not None
    assert chosen.scale[0] == np.float32(chosen.high / 255)
    with pytest.raises(CalibrationError, match="no quantized tensor 'nowhere'"):
        quantize(network("espcn"), pictures(1), replace(QUICK, overrides={"nowhere": "mse"}))


def test_a_dead_tensor_and_a_dead_channel_are_no_error() -> None:
    weight = np.zeros((4, 3, 3, 3), np.float32)
    second = np.zeros((3, 4, 1, 1), np.float32)
    skip = np.zeros((3, 3, 1, 1), np.float32)
    skip[np.arange(3), np.arange(3)] = 1
    constants = {"w": weight, "b": np.full(4, -1, np.float32), "v": second, "c": np.zeros(3, np.float32), "s": skip}
    constants["d"] = np.array([0.0, 0.1, -0.1], np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w", "b"], ["dead"], pads=[1] * 4),
        helper.make_node("Relu", ["dead"], ["zero"]),
        helper.make_node("Conv", ["zero", "v", "c"], ["nothing"], pads=[0] * 4),
        helper.make_node("Conv", ["input", "s", "d"], ["same"], pads=[0] * 4),
        helper.make_node("Add", ["nothing", "same"], ["output"]),
    ]
    q = quantize(small_model(nodes, constants), [picture(40, 40, 3)], Settings(crop=40))
    assert all(0 < scale < np.inf for tensor in q.recipe.tensors for scale in tensor.scale)
    pixels = picture(9, 9, 3, 4)
    wanted = np.clip(pixels.astype(float) + np.array([0.0, 25.5, -25.5]), 0, 255)
    assert np.abs(IntegerReference(q.model).run(pixels) - wanted).max() <= 1.5


@pytest.mark.parametrize("weights", ["output", "minmax"])
def test_a_channel_without_weights_keeps_its_bias(weights: str) -> None:
    """Its scale, which no weight decides, must leave room for the bias; no layer behind it could make up for it."""
    rng = np.random.default_rng(0)
    weight = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) + rng.normal(0, 0.1, (3, 3, 1, 1)).astype(np.float32)
    weight[2] = 0
    nodes = [helper.make_node("Conv", ["input", "w", "b"], ["output"])]
    sr = small_model(nodes, {"w": weight, "b": np.array([0, 0, 0.5], np.float32)})
    q = quantize(sr, pictures(3), replace(QUICK, weights=weights))
    pixels = picture(30, 30, 3, 5)
    assert psnr(IntegerReference(q.model).run(pixels), float_upscale(sr.model, sr.value_range)(pixels)) > 44


def test_a_network_that_gives_nan_is_refused() -> None:
    nodes = [
        helper.make_node("Log", ["input"], ["log"]),
        helper.make_node("Mul", ["log", "input"], ["output"]),
    ]
    with pytest.raises(CalibrationError, match="NaN or infinite"):
        quantize(small_model(nodes, {}), [picture(40, 40, 3) // 2 * (picture(40, 40, 3) > 90)], Settings(crop=40))


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)]
)
def test_the_reference_takes_pixels_only(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"uint8 pixels \(height, width, 3\)"):
        IntegerReference(quantized("xlsr").model).run(wrong)


def test_any_picture_size_down_to_one_pixel() -> None:
    reference = IntegerReference(quantized("xlsr").model)
    for height, width in ((1, 1), (1, 7), (5, 2)):
        assert reference.run(picture(height, width, 3)).shape == (height * 3, width * 3, 3)
