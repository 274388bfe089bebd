"""A bundle whose library holds no code: enough for everything that happens before code is loaded."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from tests import elves
from toolchain.bundle import GOLDEN, LIBRARY, IntegerCoverage, Manifest, new_bundle, seal
from toolchain.reference.tensor import QuantizedTensor
from toolchain.schedules.coverage import TunedCoverage
from toolchain.support.cpu import Cpu
from toolchain.support.versions import Versions
from toolchain.targets import Target

CPU = Cpu("test", "x86_64", frozenset({"avx2", "fma"}), 2)
TARGET = Target("x86-avx2", "test", "x86_64-linux-gnu", "x86-64-v3", (), "avx2", ("avx2", "fma"), 2)


def manifest(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "name": "tiny",
        "versions": Versions.installed(),
        "target": TARGET,
        "library": LIBRARY,
        "entry": "main",
        "channels": 3,
        "scale": 2,
        "value_range": (0.0, 1.0),
        "halo": 2,
        "macs_per_pixel": 1000.0,
        "workspace_per_pixel": 50.0,
        "line_buffers": 1000,
        "precision": "int8",
        "coverage": IntegerCoverage(2, 2, 1000.0, 1000.0, ()),
        "tuned": TunedCoverage(2, 1, 1000.0, 750.0),
        "kernels": ("qconv0", "qconv1"),
        "tensors": (QuantizedTensor("x", 3, 1 / 255, 0),),
        "files": {},
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def write(path: Path, library: bytes | None = None, **changes: object) -> Path:
    described = manifest(**changes)
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    with new_bundle(path) as folder:
        (folder / LIBRARY).write_bytes(elves.library(described.target.triple) if library is None else library)
        buffer = io.BytesIO()
        np.savez(buffer, input=picture, output=picture.repeat(2, 0).repeat(2, 1))
        (folder / GOLDEN).write_bytes(buffer.getvalue())
        seal(folder, described)
    return path
