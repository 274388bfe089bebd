"""How far INT8 is from float: measured on crops that chose nothing, and who is to blame where it is far."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.quantize.helpers import QUICK, network, picture, quantized, small_model
from toolchain.images.metrics import decibels
from toolchain.quantize import IntegerReference, quantize
from toolchain.quantize.crops import HeldOut, cut_crops
from toolchain.quantize.fidelity import find_culprits
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.loss import measure_loss


def held_out(channels: int, count: int = 3) -> list[HeldOut]:
    return [HeldOut(picture(30 + seed, 40, channels, 50 + seed), seed) for seed in range(count)]


@pytest.mark.parametrize("name", ["xlsr", "fsrcnn"])
def test_it_is_the_integer_network_that_is_measured(name: str) -> None:
    sr, model = network(name), quantized(name)
    judges = held_out(sr.channels)
    found, worst = measure_loss(sr, model.model, judges, ["a.png", "b.png", "c.png"])
    exact, reference = FloatModel(sr.model), IntegerReference(model.model)
    errors, sizes = [], []
    for crop in judges:
        real = exact.run(to_float(crop.pixels, sr.value_range))[0].transpose(1, 2, 0).astype(float)
        grey = np.clip(real * (255 / sr.value_range[1]), 0, 255)
        errors.append(np.mean((reference.run(crop.pixels) - grey) ** 2))
        sizes.append(grey.size)
    assert found.psnr == pytest.approx(decibels(float(np.average(errors, weights=sizes))), abs=0.05)
    assert found.crops == 3
    assert found.worst <= found.psnr
    assert found.photograph == "abc"[int(np.argmax(errors))] + ".png"
    np.testing.assert_array_equal(worst[0], judges[int(np.argmax(errors))].pixels)


def test_it_does_not_hide_what_is_wrong() -> None:
    sr, model = network("xlsr"), quantized("xlsr")
    judges = held_out(3)
    before = measure_loss(sr, model.model, judges, "abc")[0]
    spoiled = type(model.model).FromString(model.model.SerializeToString())
    for weight in spoiled.graph.initializer:
        if weight.data_type == TensorProto.INT8 and len(weight.dims) == 4:
            weight.raw_data = (np.frombuffer(weight.raw_data, np.int8) // 16 * 16).astype(np.int8).tobytes()
    assert measure_loss(sr, spoiled, judges, "abc")[0].psnr < before.psnr - 3


@pytest.mark.parametrize("shrink", [1, 2])
def test_held_out_crops_lie_apart_where_there_is_room(shrink: int) -> None:
    # Every pixel has a value of its own, so that overlaps show.
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (300, 320, 3), np.uint8) for _ in range(2)]
    found = cut_crops(images, channels=3, halo=3, size=40, per_image=4, shrink=shrink, seed=0)
    assert [crop.photo for crop in found.held_out] == [0, 0, 1, 1]
    chosen = {row.tobytes() for crop in found.crops for row in crop.reshape(-1, 8, 3)}
    for crop in found.held_out:
        rows = np.lib.stride_tricks.sliding_window_view(crop.pixels, 8, axis=1).transpose(0, 1, 3, 2)
        assert not any(np.ascontiguousarray(row).tobytes() in chosen for row in rows.reshape(-1, 8, 3))
    again = cut_crops(images, channels=3, halo=3, size=40, per_image=4, shrink=shrink, seed=0)
    for crop, same in zip(found.held_out, again.held_out, strict=True):
        np.testing.assert_array_equal(crop.pixels, same.pixels)


def test_a_photograph_as_small_as_a_crop_judges_all_the_same() -> None:
    image = picture(30, 32, 3)
    found = cut_crops([image], channels=3, halo=3, size=40, per_image=4, shrink=1, seed=0)
    assert [crop.pixels.shape for crop in found.held_out] == [(30, 32, 3)]


def test_the_tensor_that_is_rounded_too_coarsely_is_named() -> None:
    """Two tensors share a range; through the sum neither can be balanced, and the small one is lost."""
    eye = np.eye(6, 3, dtype=np.float32).reshape(6, 3, 1, 1) + np.eye(6, 3, -3, dtype=np.float32).reshape(6, 3, 1, 1)
    constants = {
        "large": 1000 * eye,
        "small": eye,
        "last": np.concatenate([0.5e-3 * eye.transpose(1, 0, 2, 3), 0.5 * eye.transpose(1, 0, 2, 3)], axis=1) / 2,
    }
    nodes = [
        helper.make_node("Conv", ["input", "large"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["wide_relu"]),
        helper.make_node("Add", ["wide_relu", "wide_relu"], ["twice"]),
        helper.make_node("Conv", ["input", "small"], ["narrow"]),
        helper.make_node("Relu", ["narrow"], ["narrow_relu"]),
        helper.make_node("Add", ["narrow_relu", "narrow_relu"], ["doubled"]),
        helper.make_node("Concat", ["twice", "doubled"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "last"], ["output"]),
    ]
    model = quantize(small_model(nodes, constants), [picture(60, 60, 3, seed) for seed in range(3)], QUICK)
    culprits = find_culprits(model, [picture(40, 40, 3, 7)])
    assert str(culprits[0][0]) == "both"
    assert decibels(culprits[0][1]) < 35
    assert {"both"} >= {part.name for part, _ in culprits}
