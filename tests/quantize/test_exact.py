"""What only float operators read has 16 bits, at no product's cost."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.quantize.helpers import QUICK, network, pictures, small_model
from toolchain.frontend import SRModel
from toolchain.quantize import QuantizedModel, Settings, quantize
from toolchain.quantize import exact as under_test
from toolchain.quantize.exact import exact_bits
from toolchain.quantize.loss import Comparison
from toolchain.quantize.plan import make_plan
from toolchain.reference.network import describe_network
from toolchain.support.errors import ModelError


def squashed(*, read_twice: bool = False) -> SRModel:
    """A convolution, a Tanh, a convolution; ``read_twice``: the last one reads the first besides."""
    rng = np.random.default_rng(2)
    nodes = [
        helper.make_node("Conv", ["input", "w1", "b1"], ["wide"], pads=[1] * 4),
        helper.make_node("Tanh", ["wide"], ["narrow"]),
    ]
    if read_twice:
        nodes.append(helper.make_node("Concat", ["narrow", "wide"], ["both"], axis=1))
    last = ["both" if read_twice else "narrow", "w2", "b2"]
    nodes.append(helper.make_node("Conv", last, ["output"], pads=[1] * 4))
    constants = {
        "w1": rng.normal(0, 1.0, (6, 3, 3, 3)).astype(np.float32),
        "b1": rng.normal(0, 1.0, 6).astype(np.float32),
        "w2": rng.normal(0, 0.1, (3, 12 if read_twice else 6, 3, 3)).astype(np.float32),
        "b2": np.full(3, 0.5, np.float32),
    }
    return small_model(nodes, constants)


def made(sr: SRModel, **bits: int) -> QuantizedModel:
    return quantize(sr, pictures(3), Settings(crop=28, crops_per_image=2, bits=bits))


def dtypes(model: QuantizedModel) -> dict[str, str]:
    return {item.name: item.dtype for item in model.recipe.tensors if item.role == "activation"}


def test_only_what_float_operators_alone_read() -> None:
    assert make_plan(squashed()).exact == {"wide"}
    assert not make_plan(squashed(read_twice=True)).exact
    # A network in integers from end to end has none, nor do its pixels.
    assert not any(make_plan(network(name)).exact for name in ("xlsr", "abpn", "fsrcnn"))


def test_the_input_of_a_tanh_has_16_bits_its_output_8() -> None:
    model = made(squashed())
    assert dtypes(model) == {"input": "uint8", "wide": "uint16", "narrow": "uint8", "output": "uint8"}


def test_it_comes_nearer_to_float_for_no_more_products() -> None:
    sr = squashed()
    free, narrow = made(sr), made(sr, wide=8)
    comparison = Comparison(sr, pictures(3, count=5)[3:])
    errors = [comparison.mean(comparison.errors(model.model)) for model in (free, narrow)]
    assert errors[0] < 0.8 * errors[1]
    assert describe_network(free.model).macs_per_pixel == describe_network(narrow.model).macs_per_pixel


def test_the_user_has_the_last_word() -> None:
    assert dtypes(made(squashed(), wide=8))["wide"] == "uint8"


def test_a_network_that_has_no_form_in_the_opset_of_16_bits_keeps_8(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: onnx.ModelProto, bits: list[int]) -> onnx.ModelProto:
        raise ModelError("an operator of it has none")

    monkeypatch.setattr(under_test, "for_bits", refuse)
    sr = squashed()
    assert exact_bits(sr, make_plan(sr)) == {}
    assert set(dtypes(quantize(sr, pictures(3), QUICK)).values()) == {"uint8"}
