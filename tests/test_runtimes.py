"""The exported QDQ file gives the bundle's picture in other runtimes, on every x86."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtimes import QEMU, picture_of
from tests.quantize.helpers import picture, psnr
from toolchain.frontend import load_model, normalize
from toolchain.images.bicubic import shrink
from toolchain.quantize import IntegerReference, QuantizedModel, Settings, quantize
from toolchain.quantize.spelling import for_runtimes
from toolchain.zoo.embedded import list_models

pytestmark = pytest.mark.slow

RUNTIMES = ("onnxruntime", "openvino")
NETWORKS = {model.name: model.path for model in list_models()}
QUICK = Settings(crop=40, crops_per_image=1, tame=False, augment=False)
MOST = 2
"""Codes by which a pixel may differ: runtimes add up and scale in floats of their own, and what lies between two codes
may be rounded to either, layer after layer."""
LOST = 0.02
"""Decibels."""


@cache
def deployed(name: str) -> QuantizedModel:
    sr = normalize(load_model(NETWORKS[name]))
    return quantize(sr, [picture(60, 70, sr.channels, seed) for seed in range(3)], QUICK)


def same(name: str, runtime: str, folder: Path, *, side: int = 48, old: bool = False) -> None:
    q = deployed(name)
    path = folder / "model.qdq.onnx"
    onnx.save(for_runtimes(q.model), path)
    high = picture(side * q.scale, side * q.scale, 3, 11)
    low = shrink(high, q.scale)[..., : q.channels]
    wanted = IntegerReference(q.model).run(low)
    found = picture_of(runtime, path, low, q.value_range[1] / 255, old=old)
    assert np.abs(found.astype(int) - wanted).max() <= MOST
    assert abs(psnr(found, high[..., : q.channels]) - psnr(wanted, high[..., : q.channels])) <= LOST


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_embedded_network_by_default(name: str, runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    same(name, runtime, tmp_path)


@pytest.mark.emulator
@pytest.mark.skipif(QEMU is None, reason="needs qemu-x86_64-static: apt install qemu-user-static")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["abpn_x3", "ecbsr_m4c16_x2", "xlsr_x3"])
def test_on_a_processor_without_vnni(name: str, runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    same(name, runtime, tmp_path, side=24, old=True)


def test_openvino_forks_nothing_beside_what_is_computed() -> None:
    """Its telemetry would: OpenBLAS ends its threads for a fork, and a product that runs meanwhile never ends."""
    pytest.importorskip("openvino")
    code = """
import os, sys
from benchmarks.runtimes import silence_openvino
silence_openvino()
os.register_at_fork(before=lambda: print("forked"))
import openvino
assert sys.modules["openvino_telemetry"] is None
openvino.Core()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == ""
