"""Compile quantized networks and compare them with the integer reference."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import onnx
import tvm
from tvm import relax

from toolchain.backends.cpu.build import Compiled, compile_model
from toolchain.frontend.unit import unit_of
from toolchain.images.units import in_units
from toolchain.quantize import IntegerReference
from toolchain.targets import Target, find_target

SMALL = ((1, 1), (5, 7), (9, 81), (77, 6))
"""The last is several bands of rows, and enough of them for two threads."""


def compiled(model: onnx.ModelProto, target: Target | None = None, *, layers: bool = False) -> Compiled:
    """``model`` for ``target``, by default for this machine."""
    given = SimpleNamespace(model=model)
    return compile_model(given, target or find_target("host"), layers=layers)  # type: ignore[arg-type]


def picture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def assert_equal(
    model: onnx.ModelProto, target: Target | None = None, sizes: Sequence[tuple[int, int]] = SMALL, *, spread: int = 50
) -> Compiled:
    """The library gives the reference's pixels, which are not all alike. Returns what was compiled."""
    library = compiled(model, target)
    machine, reference = relax.VirtualMachine(library.executable, tvm.cpu()), IntegerReference(model)
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value

    def run(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(machine["main"](tvm.runtime.tensor(pixels)).numpy())

    for seed, (height, width) in enumerate(sizes):
        pixels = picture(height, width, channels, seed)
        expected = reference.run(pixels)
        got = in_units(run, unit_of(model))(pixels)
        np.testing.assert_array_equal(got, expected, err_msg=f"{height} x {width}")
    assert len(np.unique(expected)) > spread, "this network says nothing: its pixels are all alike"
    return library
