"""Run a QDQ file as its users do: in other runtimes with their default options, here or on an older processor.

As a program, ``python runtimes.py RUNTIME MODEL PIXELS RESULT``, it does so in a process of its own: RUNTIME is the
name of one of ``RUNTIMES``, PIXELS an .npy of float32 (1, C, h, w) and RESULT another one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

QEMU = shutil.which("qemu-x86_64-static")
OLD = "Haswell"
"""A processor with AVX2 and no VNNI."""


def in_onnxruntime(model: str, given: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: given})[0])


def in_openvino(model: str, given: np.ndarray) -> np.ndarray:
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU")
    return np.asarray(next(iter(compiled(given).values())))


RUNTIMES: dict[str, Callable[[str, np.ndarray], np.ndarray]] = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}


def picture_of(runtime: str, model: Path, pixels: np.ndarray, peak: float, *, old: bool = False) -> np.ndarray:
    """The picture u8 (h, w, C) that a runtime makes of ``pixels``; ``old``: on a processor without VNNI, emulated."""
    step = np.float32(peak / 255)
    given = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) * step
    planes = _emulated(runtime, model, given) if old else RUNTIMES[runtime](str(model), given)
    return np.clip(np.rint(planes[0].transpose(1, 2, 0) / step), 0, 255).astype(np.uint8)


def _emulated(runtime: str, model: Path, given: np.ndarray) -> Any:
    assert QEMU is not None
    source, result = model.with_suffix(".npy"), model.with_suffix(".result.npy")
    np.save(source, given)
    words = [QEMU, "-cpu", OLD, sys.executable, __file__, runtime, str(model), str(source), str(result)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(result)


if __name__ == "__main__":
    np.save(sys.argv[4], RUNTIMES[sys.argv[1]](sys.argv[2], np.load(sys.argv[3])))
