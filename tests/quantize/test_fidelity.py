"""Fidelity: variants that mean what the integers mean, figures that can be worked out, and blame where it belongs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.quantize.helpers import QUICK, network, picture, pictures, quantized
from toolchain.quantize import IntegerReference, QuantizedModel, quantize
from toolchain.quantize.fidelity import assign_blame, compare_tensors, count_runs, list_parts, write_variant
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.mend import find_fixes
from toolchain.quantize.pipeline import calibrate
from toolchain.reference.quantization import Quantization
from toolchain.support.errors import ModelError

ALL = ["xlsr", "abpn", "espcn", "fsrcnn", "sesr", "sesr_prelu_rgb"]


def balanced(model: QuantizedModel) -> FloatModel:
    assert model.balanced is not None
    return FloatModel(model.balanced.model)


@pytest.mark.parametrize("name", ALL)
def test_everything_quantized_is_the_integer_network(name: str) -> None:
    model = quantized(name)
    shown = picture(24, 20, model.channels, 5)
    low, high = model.value_range
    values = FloatModel(write_variant(model, list_parts(model))).run(to_float(shown, model.value_range))[0]
    pixels = np.rint((values.transpose(1, 2, 0) - low) / (high - low) * 255)
    distance = np.abs(pixels - IntegerReference(model.model).run(shown))
    assert distance.max() <= 1
    assert np.mean(distance > 0) < 0.01


@pytest.mark.parametrize("name", ALL)
def test_nothing_quantized_is_the_float_network(name: str) -> None:
    model = quantized(name)
    given = to_float(picture(24, 20, model.channels, 5), model.value_range)
    np.testing.assert_array_equal(FloatModel(write_variant(model, ())).run(given), balanced(model).run(given))


def test_one_part_alone_changes_what_it_should() -> None:
    model = quantized("xlsr")
    given = to_float(picture(24, 20, 3, 5), model.value_range)
    exact = balanced(model).run(given)
    for part in list_parts(model):
        found = FloatModel(write_variant(model, [part])).run(given)
        assert not np.array_equal(found, exact), part
        assert np.abs(found - exact).max() < 0.2, part


def test_figures_of_a_tensor_can_be_worked_out() -> None:
    model = quantized("espcn")
    shown = [picture(24, 20, model.channels, 5), picture(13, 31, model.channels, 6)]
    found = compare_tensors(model, shown)
    tensor = found[0]
    assert model.balanced is not None
    network = FloatModel(model.balanced.model, (tensor.name,))
    reference = IntegerReference(model.model)
    values = np.concatenate([network.run_all(to_float(p, model.value_range))[tensor.name].ravel() for p in shown])
    codes = np.concatenate([reference.tensors(p)[f"{tensor.name}_quantized"].ravel() for p in shown])
    quantization = Quantization(tensor.scale, tensor.zero_point)
    real, wide = quantization.dequantize(codes).astype(float), values.astype(float)
    alone = quantization.dequantize(quantization.quantize(values)).astype(float)
    assert tensor.sqnr == pytest.approx(10 * np.log10(np.sum(wide**2) / np.sum((wide - real) ** 2)))
    assert tensor.own_sqnr == pytest.approx(10 * np.log10(np.sum(wide**2) / np.sum((wide - alone) ** 2)))
    assert tensor.cosine == pytest.approx(wide @ real / np.linalg.norm(wide) / np.linalg.norm(real))
    assert (tensor.seen_low, tensor.seen_high) == (wide.min(), wide.max())
    assert sum(tensor.histogram) == pytest.approx(1)
    own = quantization.quantize(values)
    assert tensor.used == (int(own.max()) - int(own.min()) + 1) / 256


@cache
def sabotaged() -> tuple[QuantizedModel, str]:
    """XLSR with one inner tensor whose range holds half of its values."""
    victim = [part.name for part in list_parts(quantized("xlsr")) if part.kind == "activation"][-2]
    settings = replace(QUICK, overrides={victim: "percentile:50"}, reconstruct=False, correct_bias=False)
    return quantize(network("xlsr"), pictures(3), settings), victim


def test_a_narrow_range_shows_as_saturation() -> None:
    model, victim = sabotaged()
    for tensor in compare_tensors(model, [picture(24, 20, 3, 5)]):
        inner = tensor.estimator != "pixels"
        assert (tensor.saturated > 0.1) == (tensor.name == victim) or not inner
        assert tensor.sqnr <= tensor.own_sqnr + 1


def test_the_part_at_fault_is_blamed() -> None:
    model, victim = sabotaged()
    told: list[int] = []
    report = assign_blame(model, [picture(24, 20, 3, 5)], progress=lambda text, done: told.append(done))
    assert told == list(range(count_runs(model)))
    worst = max(report.blames, key=lambda blame: blame.alone)
    assert worst.part.name == victim
    assert worst == max(report.blames, key=lambda blame: blame.gain)
    assert worst.gain == pytest.approx(report.everything - worst.without)
    assert worst.without < report.everything / 4


def test_the_whole_error_is_that_of_the_integer_network() -> None:
    model = quantized("xlsr")
    shown = [picture(24, 20, 3, 5), picture(30, 17, 3, 6)]
    exact = [np.clip(balanced(model).run(to_float(p, (0, 1)))[0].transpose(1, 2, 0), 0, 1) * 255.0 for p in shown]
    found = [IntegerReference(model.model).run(p) for p in shown]
    error = np.concatenate([(a - b).ravel() for a, b in zip(exact, found, strict=True)])
    assert assign_blame(model, shown).everything == pytest.approx(np.mean(error**2), rel=0.02)


def test_another_tools_model_has_no_float_network() -> None:
    with pytest.raises(ModelError, match=r"the float network of .* is not known; give the float model"):
        list_parts(replace(quantized("xlsr"), balanced=None))


def test_what_loses_nothing_has_nothing_to_mend() -> None:
    calibrated = calibrate(network("xlsr"), pictures(3), QUICK)
    plain = calibrated.rounded()
    assert find_fixes(calibrated, plain, plain, 0.01, ()) == ()
