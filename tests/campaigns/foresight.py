"""What is said of a target before any work, and what lowering a quantized network for it finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from toolchain.backends import backend_for
from toolchain.frontend import load_model, normalize
from toolchain.quantize.stand_in import stand_in
from toolchain.support.errors import ModelError
from toolchain.targets import find_target

TARGETS = ("x86-avx2", "cortex-a76", "cortex-a53", "cortex-a7", "mali-g78")


def foreseen(path: Path, value_range: str) -> dict[str, str]:
    """Return what is said of a float model for each of `TARGETS`: a sentence."""
    model = stand_in(normalize(load_model(path), value_range=value_range))
    return {name: _said(model, name) for name in TARGETS}


def unforeseen(said: Mapping[str, str], model: onnx.ModelProto) -> str:
    """Return where the quantized ``model`` becomes something else than was ``said``; empty: nowhere."""
    found = {name: _said(model, name) for name in said}
    others = [f"{name}: said {said[name]!r}, found {found[name]!r}" for name in said if found[name] != said[name]]
    return "; ".join(others)


def _said(model: onnx.ModelProto, name: str) -> str:
    target = find_target(name)
    try:
        found = backend_for(target).rehearse(model, target)
    except ModelError as error:
        return str(error)
    return str(found.coverage) + ("" if found.layered is None else f"; layer by layer for {', '.join(found.layered)}")
