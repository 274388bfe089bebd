"""Photographs that scikit-image carries in its wheel: for the demo, and to calibrate where there are no others."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from toolchain.support.errors import CalibrationError
from toolchain.zoo.embedded import PREFIX

_NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg")


def demo_photographs() -> tuple[Path, ...]:
    """Return the files, in the order of their names.

    Raises:
        CalibrationError: scikit-image is not installed, or carries none of them.
    """
    spec = importlib.util.find_spec("skimage")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = tuple(path for folder in folders for name in _NAMES if (path := Path(folder, "data", name)).is_file())
    if not found:
        raise CalibrationError(
            "no photographs to calibrate with",
            hint="name a folder of photographs with --calib, or `pip install scikit-image` for a few to try with",
        )
    return found


def photographs_of(model: str, calib: Path | None) -> Path | tuple[Path, ...] | None:
    """Return the folder ``calib``, or, for an embedded model ``zoo:NAME`` without one, the demo's photographs; None for
    another, which may be quantized already.

    Raises:
        CalibrationError: an embedded model is to be calibrated, and there are none.
    """
    return photographs_for(model, calib) if calib is not None or model.startswith(PREFIX) else None


def photographs_for(model: str, calib: Path | None) -> Path | tuple[Path, ...]:
    """Return the folder ``calib``, or, for an embedded model ``zoo:NAME`` without one, the demo's photographs.

    Raises:
        CalibrationError: there are none.
    """
    if calib is not None:
        return calib
    if model.startswith(PREFIX):
        return demo_photographs()
    raise CalibrationError("no photographs to calibrate with", hint="name a folder of photographs with --calib")
