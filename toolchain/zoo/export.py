"""From a trained PyTorch network to ONNX (opset 17, dynamic height and width) and a card that says how it was made."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolchain.atomic import atomic_write


def export(net: nn.Module, name: str, out: Path, *, card: dict[str, Any]) -> Path:
    """Write ``out/name.onnx`` and ``out/name.json``; returns the ONNX file's path.

    The graph takes ``input`` (1, 3, h, w) and gives ``output`` (1, 3, h*scale, w*scale), float32 in 0..1.
    """
    net = net.cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The graph-tracing exporter is deprecated, but the new one needs another package and writes opset 18 or later.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        sizes = {"input": {2: "height", 3: "width"}, "output": {2: "out_height", 3: "out_width"}}
        torch.onnx.export(net, (torch.zeros(1, 3, 24, 24),), buffer, input_names=["input"], output_names=["output"],
                          opset_version=17, dynamo=False, dynamic_axes=sizes)
    data = buffer.getvalue()
    path = out / f"{name}.onnx"
    with atomic_write(path) as file:
        file.write(data)
    with atomic_write(out / f"{name}.json") as file:
        full = {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "torch": torch.__version__, **card}
        file.write((json.dumps(full, indent=2) + "\n").encode())
    return path
