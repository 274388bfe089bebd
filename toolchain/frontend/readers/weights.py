"""Weights of networks that spandrel knows: state dicts as PyTorch saves them (``.pth``), or as safetensors."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolchain.frontend.pytorch.archive import names
from toolchain.frontend.pytorch.process import export, need
from toolchain.support.errors import ModelError

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of PyTorch before 1.6 begin: a pickled number of theirs."""


def recognizes(data: bytes) -> bool:
    """Return whether this is a checkpoint of PyTorch or a file of safetensors."""
    return data.startswith(_LEGACY) or _is_safetensors(data) or (data.startswith(b"PK") and "data.pkl" in names(data))


def read(path: Path, data: bytes) -> onnx.ModelProto:
    """Return the network that the weights belong to, as PyTorch exports it to ONNX: input and output 0..1."""
    safetensors = _is_safetensors(data)
    if not safetensors and "constants.pkl" in names(data):
        raise ModelError(
            f"{path} is a TorchScript program, which is not read",
            hint="save an exported program, or export the network to ONNX: docs/pytorch.md shows how",
        )
    what = "weights in the safetensors format" if safetensors else "a PyTorch checkpoint"
    need(path, what, ("torch", "onnxscript", "spandrel"), "spandrel")
    return export(path, data, "weights", safetensors=safetensors)


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and b'"data_offsets"' in data[: 1 << 20]
