"""Runs a QDQ file as its users do: in other runtimes with their default options, here or on an older processor.

As a program, ``python runtimes.py RUNTIME MODEL PIXELS RESULT``, it does so in a process of its own: RUNTIME is the
name of one of ``RUNTIMES``, PIXELS an .npy of float32 (1, C, h, w) and RESULT another one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

QEMU = shutil.which("qemu-x86_64-static")
OLD = "Haswell"
"""A processor with AVX2 and no VNNI: products of bytes are added two by two in 16 bits, which saturate."""
_PATIENCE = 600  # seconds for one picture


def silence_openvino() -> None:
    """Let ``import openvino`` find no telemetry: that would fork in a thread of its own, for which OpenBLAS ends its
    threads, and a matrix product that NumPy computes just then waits for them for ever.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules.setdefault("openvino_telemetry", None)  # so Python is told that there is no such module


def in_onnxruntime(model: str, given: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: given})[0])


def in_openvino(model: str, given: np.ndarray, settings: Mapping[str, str] | None = None) -> np.ndarray:
    silence_openvino()
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", dict(settings or {}))
    return np.asarray(next(iter(compiled(given).values())))


def in_exact_openvino(model: str, given: np.ndarray) -> np.ndarray:
    """Told to compute in float32 what it does not compute in integers: where a processor can, it takes bfloat16."""
    return in_openvino(model, given, {"INFERENCE_PRECISION_HINT": "f32"})


def in_exact_onnxruntime(model: str, given: np.ndarray) -> np.ndarray:
    """Told to saturate nothing, on whatever processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: given})[0])


RUNTIMES: dict[str, Callable[[str, np.ndarray], np.ndarray]] = {
    "onnxruntime": in_onnxruntime,
    "onnxruntime, exact": in_exact_onnxruntime,
    "openvino": in_openvino,
    "openvino, exact": in_exact_openvino,
}


def planes_of(runtime: str, model: Path, given: np.ndarray, *, old: bool = False) -> np.ndarray:
    """What a runtime makes of float32 (1, C, h, w); ``old``: on a processor without VNNI, emulated.

    Raises:
        RuntimeError: there is no emulator, or what it ran failed.
    """
    if not old:
        return RUNTIMES[runtime](str(model), given)
    if QEMU is None:
        raise RuntimeError("needs qemu-x86_64-static: apt install qemu-user-static")
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "given.npy"), Path(folder, "result.npy")
        np.save(source, given)
        words = [QEMU, "-cpu", OLD, sys.executable, __file__, runtime, str(model), str(source), str(result)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        if done.returncode:
            raise RuntimeError(f"{runtime} on an emulated {OLD}: {done.stderr.strip().splitlines()[-1:]}")
        return np.asarray(np.load(result))


def picture_of(runtime: str, model: Path, pixels: np.ndarray, step: float, *, old: bool = False) -> np.ndarray:
    """The picture u8 (h, w, C) made of ``pixels``, of which one code is ``step`` in the network's floats."""
    given = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) * np.float32(step)
    planes = planes_of(runtime, model, given, old=old)[0].transpose(1, 2, 0)
    return np.clip(np.rint(planes / np.float32(step)), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    np.save(sys.argv[4], RUNTIMES[sys.argv[1]](sys.argv[2], np.load(sys.argv[3])))
