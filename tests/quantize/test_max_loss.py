"""A bound on the loss: as little as keeps to it is spent, and what cannot be kept is said."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.quantize.helpers import QUICK, network, pictures, quantized
from toolchain.frontend import normalize
from toolchain.frontend.load import load_model
from toolchain.images.bicubic import shrink
from toolchain.images.metrics import luma, psnr, shaved
from toolchain.quantize import IntegerReference, QuantizedModel, Settings, quantize
from toolchain.quantize.calibrated import Calibrated
from toolchain.quantize.crops import HeldOut
from toolchain.quantize.drop import PsnrDrop
from toolchain.quantize.pipeline import calibrate, calibration_crops
from toolchain.quantize.recipe import BoundRecipe, WideRecipe
from toolchain.quantize.settings import for_deployment
from toolchain.quantize.spending import finer_of, within_loss
from toolchain.support.errors import CalibrationError, ModelError
from toolchain.workflows.deploy.prepare import read_calibration
from toolchain.workflows.evaluate import float_upscale
from toolchain.zoo.demo_photos import demo_photographs
from toolchain.zoo.embedded import resolve


@cache
def within(name: str, bound: float, budget: float | None = None) -> QuantizedModel:
    sr = network(name)
    return quantize(sr, pictures(sr.channels), replace(QUICK, max_loss=bound, budget=budget))


def bound_of(model: QuantizedModel) -> BoundRecipe:
    assert model.recipe.bound is not None
    return model.recipe.bound


def measured(name: str, model: QuantizedModel) -> float:
    sr = network(name)
    return PsnrDrop(sr, calibration_crops(sr, pictures(sr.channels), QUICK).held_out)(model.model)


def test_what_keeps_to_the_bound_with_8_bits_is_left_alone() -> None:
    model = within("xlsr", 0.5)
    assert model.model == quantized("xlsr").model
    found = bound_of(model)
    assert found.kept
    assert not found.chosen
    assert found.before == found.after == pytest.approx(measured("xlsr", model), abs=2e-3)
    assert str(found).endswith("dB below float, with no work spent on 16 bits (0.5 dB allowed)")


def test_as_few_tensors_as_keep_to_it_get_16_bits() -> None:
    model = within("xlsr", 0.03)
    found = bound_of(model)
    assert found.kept
    assert found.after == pytest.approx(measured("xlsr", model), abs=2e-3)
    assert found.after <= 0.03 < found.before
    assert found.spent == pytest.approx(sum(item.macs for item in found.chosen))
    wide = {item.name: 16 for item in found.chosen[:-1]}
    fewer = quantize(network("xlsr"), pictures(3), replace(QUICK, bits=wide))
    assert measured("xlsr", fewer) > 0.03


def test_what_cannot_be_kept_is_said_with_what_is_to_blame() -> None:
    found = bound_of(within("espcn", 0.02))
    assert not found.kept
    assert found.after < found.before
    assert "0.02 dB cannot be kept; most is lost in " in str(found)


def test_nothing_is_chosen_that_turns_out_not_to_be_needed() -> None:
    """With the weights that it has, the network is beyond the bound without any one of its tensors of 16 bits."""
    sr = network("xlsr")
    calibrated = calibrate(sr, pictures(3), QUICK)
    found = calibrated.rounded()
    spent = within_loss(calibrated, found, 0.02)
    judge, others = calibrated.crops.held_out, [HeldOut(pixels, 0) for pixels in calibrated.crops.crops]
    every, refuses = PsnrDrop(calibrated.sr, [*judge, *others]), PsnrDrop(calibrated.sr, judge)
    assert spent.bound is not None
    chosen = spent.bound.chosen
    assert chosen
    for item in chosen:
        left = tuple(other for other in chosen if other != item)
        fewer = calibrated.rewritten(finer_of(calibrated, left), spent.network)
        assert max(every(fewer.model), refuses(fewer.model)) > 0.02


def test_what_is_expected_to_be_lost_is_no_matter_of_luck() -> None:
    """A network that is nearer to the originals than the float one gains, but must be expected to lose."""
    sr = network("xlsr")
    drop = PsnrDrop(sr, calibration_crops(sr, pictures(sr.channels), QUICK).held_out)
    assert drop.expected(sr.model) == drop(sr.model) == 0
    assert drop.expected(quantized("xlsr").model) > 0


def test_the_search_tells_how_far_it_is() -> None:
    calibrated = calibrate(network("xlsr"), pictures(3), QUICK)
    told: list[tuple[str, float]] = []
    within_loss(calibrated, calibrated.rounded(), 0.02, progress=lambda text, share: told.append((text, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] <= 1
    for text in ("choosing tensors for 16 bits", "rounding weights again"):
        assert len({share for said, share in told if said == text}) > 3


def test_a_loss_that_is_small_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated = calibrate(network("xlsr"), pictures(3), QUICK)
    found = calibrated.rounded()

    def never(*args: object) -> None:
        raise AssertionError("a search")

    monkeypatch.setattr("toolchain.quantize.spending.choose_wide", never)
    monkeypatch.setattr(Calibrated, "rounded", never)
    assert within_loss(calibrated, found, 0.5).network is found


def test_a_deployment_spends_little_unless_told_otherwise() -> None:
    default = for_deployment(None)
    assert default == for_deployment(Settings())
    assert (default.max_loss, default.budget, default.demanded) == (0.05, 8.0, False)
    for told in (Settings(budget=0.0), Settings(budget=20.0), Settings(max_loss=0.03)):
        assert for_deployment(told) == told


def sentence(*, after: float, demanded: bool, wide: bool = True) -> str:
    chosen = (WideRecipe("body", 4.0, 50.0),) if wide else ()
    return str(BoundRecipe(0.05, 0.2, after, 4.0 * wide, chosen, ("head",), 5.0, demanded))


def test_what_is_said_of_what_nobody_asked_for() -> None:
    assert sentence(after=0.04, demanded=False) == (
        "0.040 dB below float instead of 0.200: 16 bits for body (4.0 %); 4.0 % more work "
        "(more than 0.05 dB was lost; `--budget 0` spends nothing)"
    )
    assert sentence(after=0.1, demanded=False).endswith(
        "nothing keeps 0.05 dB within 5 % more work: `--max-loss 0.05` spends what it takes; most is lost in head"
    )
    assert sentence(after=0.01, demanded=False, wide=False) == (
        "0.010 dB below float, with no work spent on 16 bits (above 0.05 dB some is, or when asked for)"
    )
    assert sentence(after=0.1, demanded=True).endswith(
        "0.05 dB cannot be kept within 5 % more work; most is lost in head"
    )


def test_a_network_whose_16_bits_onnx_cannot_express_stays_at_8(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated = calibrate(network("xlsr"), pictures(3), QUICK)
    found = calibrated.rounded()

    def refused(*args: object) -> None:
        raise ModelError("no such opset")

    monkeypatch.setattr(Calibrated, "rewritten", refused)
    assert within_loss(calibrated, found, 0.02, demanded=False).network is found
    with pytest.raises(ModelError, match="no such opset"):
        within_loss(calibrated, found, 0.02)


def test_a_budget_limits_what_a_bound_may_spend() -> None:
    found = bound_of(within("xlsr", 0.02, 10.0))
    assert not found.kept
    assert 0 < found.spent <= 10
    nothing = bound_of(within("xlsr", 0.02, 0.0))
    assert not nothing.chosen
    assert nothing.after == nothing.before


def test_an_untrained_network_s_distance_is_no_excuse() -> None:
    """The float network's error is taken as one of 30 dB, where it is larger."""
    sr, model = network("xlsr"), quantized("xlsr")
    high = pictures(3)[0][:96, :96]
    low = shrink(high, sr.scale)
    exact, found = float_upscale(sr.model, sr.value_range)(low), IntegerReference(model.model).run(low)
    planes = [shaved(luma(pixels), sr.scale) for pixels in (exact, found, high)]
    assert psnr(planes[0], planes[2]) < 30
    more = np.mean((planes[1] - planes[2]) ** 2) - np.mean((planes[0] - planes[2]) ** 2)
    drop = PsnrDrop(sr, [HeldOut(high, 0)])(model.model)
    assert drop == pytest.approx(10 * np.log10(1 + more / (255**2 / 10**3)), abs=1e-3)


@pytest.mark.parametrize("name", ["xlsr_x3", "espcn_x3"])
def test_of_a_trained_network_the_drop_is_what_papers_measure(name: str) -> None:
    """The PSNR of luma of the float network, less that in integers, on a part of a photograph with edges."""
    sr = normalize(load_model(resolve(f"zoo:{name}")))
    photographs = read_calibration(demo_photographs(), sr.channels).images
    model = quantize(sr, photographs, replace(QUICK, reconstruct=False))
    high = photographs[0][60:180, 60:180]
    low = shrink(high, sr.scale)
    planes = [float_upscale(network, sr.value_range)(low) for network in (sr.model, model.model)]
    exact, found = (psnr(shaved(luma(one), 3), shaved(luma(high), 3)) for one in planes)
    assert 30 < exact < 38
    assert PsnrDrop(sr, [HeldOut(high, 0)])(model.model) == pytest.approx(exact - found, abs=1e-3)


def test_where_nothing_can_be_shrunk_the_float_picture_stands_for_the_original() -> None:
    sr, model = network("espcn"), quantized("espcn")
    tiny = pictures(sr.channels)[0][:14, :14]
    drop = PsnrDrop(sr, [HeldOut(tiny, 0)])
    exact, found = float_upscale(sr.model, sr.value_range)(tiny), IntegerReference(model.model).run(tiny)
    planes = [shaved(luma(pixels), sr.scale) for pixels in (exact, found)]
    error = np.mean((planes[0] - planes[1]) ** 2)
    assert drop(sr.model) == 0
    assert drop(model.model) == pytest.approx(10 * np.log10(1 + error / (255**2 / 10**3.8)), abs=1e-6)


@pytest.mark.parametrize("loss", [0.0, -0.1, float("nan"), float("inf")])
def test_a_bound_that_is_none_is_said(loss: float) -> None:
    with pytest.raises(CalibrationError, match="is no bound"):
        Settings(max_loss=loss)
