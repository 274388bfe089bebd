"""The process that imports PyTorch, ``python -m toolchain.frontend.pytorch.worker``: a file in, an ONNX file out.

What a request is, and what comes back, says `toolchain.frontend.pytorch.process`.
"""

from __future__ import annotations

import resource
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.support.worker import answer

if TYPE_CHECKING:
    import onnx

MOST_MEMORY = 32 << 30
"""Bytes that the process may take for data."""


def program(request: dict[str, Any]) -> dict[str, Any]:
    """Export the vetted archive at ``source``."""
    from toolchain.frontend.pytorch.export import program_to_onnx

    return _written(program_to_onnx(Path(request["source"]).read_bytes()), request)


def weights(request: dict[str, Any]) -> dict[str, Any]:
    """Export the network that the weights at ``source`` belong to."""
    from toolchain.frontend.pytorch.export import weights_to_onnx

    return _written(weights_to_onnx(Path(request["source"]), safetensors=request["safetensors"]), request)


def _written(model: onnx.ModelProto, request: dict[str, Any]) -> dict[str, Any]:
    Path(request["out"]).write_bytes(model.SerializeToString(deterministic=True))
    return {"status": "done"}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY if most < 0 else min(most, MOST_MEMORY), most))
    answer({"program": program, "weights": weights})
