"""A deployment without the compiler: the integer reference stands in for the compiled library.

What surrounds the compiler (steps, bundle, command line, tiles) can then be tested in milliseconds. The stand-in's
"library" holds the QDQ model in place of code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import onnx

from tests import elves
from toolchain.backends import BACKENDS
from toolchain.backends.cpu import CpuBackend
from toolchain.images.geometry import Geometry
from toolchain.quantize import IntegerReference, QuantizedModel, Settings
from toolchain.reference.network import describe_network
from toolchain.schedules.coverage import TunedCoverage
from toolchain.schedules.select import TileChoice, Tuning
from toolchain.support.cpu import this_cpu
from toolchain.targets import Target
from toolchain.targets.elf import read_library

QUICK = Settings(crop=32, crops_per_image=1, equalize=False, reconstruct=False, correct_bias=False)


class StandIn:
    """What the compiler would return."""

    def __init__(self, model: QuantizedModel) -> None:
        network = describe_network(model.model)
        count, macs = len(network.layers), network.macs_per_pixel
        self.model = model.model
        self.kernels = [SimpleNamespace(name=f"qconv{index}") for index in range(count)]
        self.choices: dict[str, TileChoice] = {}
        self.figures, self.segments, self.further = (), (), 0
        self.tuned = TunedCoverage(count, 0, macs, 0)
        self.coverage = SimpleNamespace(
            convolutions=count, integer_convolutions=count, macs=macs, integer_macs=macs, float_operators=()
        )

    def workspace(self, height: int, width: int) -> int:
        return 100 * height * width

    def line_buffers(self, width: int) -> int:
        return 10 * width

    def export(self, path: Path, linker: Any, name: str, geometry: Geometry) -> tuple[str, ...]:
        content = self.model.SerializeToString(deterministic=True)
        path.write_bytes(elves.library(f"{this_cpu().machine}-linux-gnu", content=content))
        return ()


class ReferenceRunner:
    """Has the interface of ``toolchain.runtime.runner.Runner``."""

    def __init__(self, library: Path, geometry: Geometry, threads: int | None = None) -> None:
        self.geometry, self.threads = geometry, threads
        self.upscale = IntegerReference(onnx.load_from_string(read_library(library).bytes_from(elves.NETWORK))).run

    def bind(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: self.upscale(pixels)


class StandInBackend(CpuBackend):
    """The CPU's backend without compiler and library.

    Args:
        compiled: what it makes of a quantized model.
        runner: what it loads: called with a path, the geometry, threads.
    """

    def __init__(
        self, compiled: Callable[[QuantizedModel], Any] = StandIn, runner: Callable[..., Any] = ReferenceRunner
    ) -> None:
        self.compiled, self.runner = compiled, runner

    def compile(self, model: QuantizedModel, target: Target, tuning: Tuning, **_options: Any) -> Any:
        return self.compiled(model)

    def open(self, library: Path, geometry: Geometry, threads: int | None = None) -> Any:
        return self.runner(library, geometry, threads)


@contextmanager
def standing_in(**changes: Any) -> Iterator[None]:
    """Within the block, `StandInBackend` makes and runs what is for CPUs, and quantizing has little patience."""
    with (
        mock.patch.dict(BACKENDS, {"cpu": StandInBackend(**changes)}),
        mock.patch("toolchain.quantize.pipeline.DEFAULTS", QUICK),
    ):
        yield
