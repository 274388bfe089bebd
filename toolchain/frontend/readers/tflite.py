"""TensorFlow Lite files, float and full-integer: `toolchain.frontend.tflite` makes ONNX of them."""

from __future__ import annotations

from pathlib import Path

import onnx

_MARK = slice(4, 8)


def recognizes(data: bytes) -> bool:
    """Return whether ``data`` begins as a TensorFlow Lite file does."""
    return data[_MARK] == b"TFL3"


def read(path: Path, data: bytes) -> onnx.ModelProto:
    """Return the network, a QDQ model where the file computes in integers.

    Raises:
        ModelError: it is damaged or holds what is not known here, or the package `tflite` is missing.
    """
    from toolchain.frontend.tflite.convert import to_onnx

    return to_onnx(path, data)
