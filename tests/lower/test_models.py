"""Whole super-resolution networks, quantized with photographs, on every instruction set of this CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable

import onnx
import pytest

from tests import sr_models
from tests.conftest import photograph
from tests.instruction_sets import EVERY
from tests.lower.compiled import assert_equal, compiled
from toolchain.frontend import normalize
from toolchain.quantize import QuantizedModel, Settings, quantize
from toolchain.targets import Target

QUICK = Settings(crop=40, crops_per_image=1, equalize=False, reconstruct=False, correct_bias=False, tame=False)
SIZES = ((1, 1), (5, 7), (24, 33), (17, 161))
NETS: dict[str, Callable[[], onnx.ModelProto]] = {
    "xlsr": lambda: sr_models.xlsr(width=4, blocks=1),
    "abpn": lambda: sr_models.abpn(features=10, blocks=1),
    "espcn": lambda: sr_models.espcn(width=8),
    "fsrcnn": lambda: sr_models.fsrcnn(features=8, shrunk=5, maps=1, kernel=5),
    "sesr": lambda: sr_models.sesr(features=8, blocks=1),
    "sesr_prelu_rgb": lambda: sr_models.sesr(channels=3, features=8, blocks=1, prelu=True),
}
MACS = {
    "xlsr": 3 * 9 * 16 + 16 * 16 + 16 * 9 * 4 + 16 * 16 + 3 * 9 * 8 + 24 * 16 + 16 * 9 * 27,
    "abpn": 9 * (3 * 10 + 10 * 10 + 10 * 27 + 27 * 27),
}


@functools.cache
def quantized(name: str) -> QuantizedModel:
    network = normalize(NETS[name]())
    photo = photograph(100, 120, 1)
    return quantize(network, [photo if network.channels == 3 else photo[..., :1]], QUICK)


@EVERY
def test_equals_the_reference(target: Target):
    check("xlsr", target)


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("name", sorted(NETS.keys() - {"xlsr"}))
def test_every_network_equals_the_reference(name: str, target: Target):
    check(name, target)


def check(name: str, target: Target) -> None:
    """The network's library equals the reference, all of it in integers."""
    found = assert_equal(quantized(name).model, target, SIZES)
    assert found.coverage.integer_convolutions == found.coverage.convolutions > 0
    assert found.coverage.float_operators == ()


@pytest.mark.parametrize("name", MACS)
def test_coverage_counts_true_work(name: str):
    found = compiled(quantized(name).model)
    assert found.coverage.macs == found.coverage.integer_macs == MACS[name]
    assert sum(kernel.macs for kernel in found.kernels) == MACS[name]
    assert "100.0 % of MACs" in str(found.coverage)
    assert [kernel.name.split("_")[0] for kernel in found.kernels] == [f"conv{i}" for i in range(len(found.kernels))]
    assert found.choices.keys() == {kernel.name for kernel in found.kernels}
