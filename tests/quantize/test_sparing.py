"""Weights get as few bits as a bound on the loss allows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tests.quantize.helpers import QUICK, network, pictures
from toolchain.quantize import QuantizedModel, Settings, quantize
from toolchain.quantize.calibrated import Calibrated
from toolchain.quantize.packing import say_bits
from toolchain.quantize.pipeline import calibrate
from toolchain.quantize.settings import MUCH, for_deployment
from toolchain.quantize.sparing import LEVELS, spare

FAST = replace(QUICK, tame=False, augment=False, spare_weights=True)


@cache
def calibrated(codebook: bool = False) -> Calibrated:
    sr = network("sesr")
    return calibrate(sr, pictures(sr.channels), replace(FAST, codebook=codebook))


def bits(model: QuantizedModel) -> list[int]:
    return [tensor.bits for tensor in model.recipe.tensors if tensor.role == "weight"]


@pytest.mark.parametrize("codebook", [False, True])
def test_the_bound_is_kept_and_a_larger_one_saves_more(codebook: bool) -> None:
    start = calibrated(codebook)
    plain = start.rounded()
    saved = []
    for bound in (0.02, 0.1, 10.0):
        found, record = spare(start, plain, bound)
        assert record.after == start.drop(found.model) <= bound
        assert record.before == start.drop(plain.model)
        model = start.described(found, spared=record)
        assert sorted(bits(model)) == sorted([*record.bits.values(), *[8] * (len(bits(model)) - len(record.bits))])
        assert set(bits(model)) <= set(LEVELS)
        saved.append(record.share)
    assert saved == sorted(saved)
    assert saved[-1] == (0.5 if not codebook else pytest.approx(0.5, abs=0.1))
    assert set(record.bits.values()) == {4}
    assert f"{record.share:.0%} of their bits saved" in say_bits(model.recipe)


def test_where_more_is_lost_nothing_is_spared() -> None:
    start = calibrated()
    plain = start.rounded()
    found, record = spare(start, plain, 1e-9)
    assert found is plain
    assert (record.share, record.bits) == (0.0, {})
    assert "none has fewer" in say_bits(start.described(found, spared=record).recipe)


def test_what_was_chosen_can_be_asked_for_by_hand_and_what_was_asked_for_stays() -> None:
    sr = network("sesr")
    first = next(node.output[0] for node in sr.model.graph.node if node.op_type == "Conv")
    settings = replace(FAST, weight_bits={first: 7}, max_loss=0.2)
    made = quantize(sr, pictures(sr.channels), settings)
    assert made.recipe.spared is not None
    assert made.recipe.spared.wanted == 0.2
    assert first not in made.recipe.spared.bits
    assert bits(made)[0] == 7
    words = made.recipe.by_hand
    asked = dict(word.rsplit("=", 1) for word in words if "=" in word)
    assert set(asked) == {first, *made.recipe.spared.bits}
    by_hand = {name: int(number) for name, number in asked.items()}
    again = quantize(
        sr, pictures(sr.channels), replace(settings, spare_weights=False, weight_bits=by_hand, max_loss=None)
    )
    assert again.model == made.model


def test_little_is_aimed_at_unasked() -> None:
    found = for_deployment(Settings(spare_weights=True))
    assert (found.max_loss, found.demanded) == (MUCH, False)
