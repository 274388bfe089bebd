"""What is said of a target before any work, and what lowering a quantized network for it finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from toolchain.backends import backend_for
from toolchain.frontend import load_model, normalize
from toolchain.lower import Coverage
from toolchain.quantize.stand_in import stand_in
from toolchain.support.errors import ModelError
from toolchain.targets import Target, find_target

TARGETS = ("x86-avx2", "cortex-a76", "cortex-a53", "cortex-a7", "mali-g78")


def foreseen(path: Path, value_range: str) -> dict[str, str]:
    """Return what is said of a float model for each of `TARGETS`, see `say`."""
    return say(stand_in(normalize(load_model(path), value_range=value_range)))


def unforeseen(said: Mapping[str, str], model: onnx.ModelProto) -> str:
    """Return where the quantized ``model`` becomes something else than was ``said``; empty: nowhere."""
    found = say(model)
    others = [f"{name}: said {said[name]!r}, found {found[name]!r}" for name in said if found[name] != said[name]]
    return "; ".join(others)


def say(model: onnx.ModelProto) -> dict[str, str]:
    """Return what a canonical QDQ model becomes on each of `TARGETS`, a sentence each."""
    return {name: _say(model, find_target(name)) for name in TARGETS}


def describe(coverage: Coverage) -> str:
    """Say what of a network runs in float: how many convolutions, which operators, and the share of the work that does
    not. How many convolutions there are is not said: photographs may make two of one, of 16 bits and of 8.
    """
    left = coverage.convolutions - coverage.integer_convolutions
    share = 100 * coverage.integer_macs / coverage.macs if coverage.macs else 100.0
    return f"{left} convolutions in float, {share:.1f} % of MACs in integers; float: {coverage.float_operators}"


def _say(model: onnx.ModelProto, target: Target) -> str:
    try:
        found = backend_for(target).rehearse(model, target)
    except ModelError as error:
        return str(error)
    text = f"{describe(found.coverage)}; {found.segments} segments"
    return text if found.layered is None else f"{text}; layer by layer for {', '.join(found.layered)}"
